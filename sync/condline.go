package sync

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A condLine is the goroutines of this process that wait on one Cond, the oldest
// first. What the process's cell has granted is for the oldest of them. One, the
// watcher, looks at the cell and sleeps in the kernel; the others wait in Go, each
// with its own context, and cost no thread.
//
// A goroutine enters the line with the lock held, when it has announced itself
// in the cell, and leaves it with the lock held, when it is taken out of the
// cell. So nobody can get ahead of one that began to wait before, nor take the
// signal that was meant for that one; not even of one that has given up and only
// waits for the lock. (At a gate, goroutines come in the order in which they
// happen to run after they have let the lock go.)
type condLine struct {
	mu    sync.Mutex // never held while waiting
	queue list.List  // of *condPlace: who has no grant
	taken int        // how many places have a grant that is still in the cell

	// watcher is the oldest in the queue that has not given up.
	watcher *condPlace

	// settled counts what this process takes out of the cell. The watcher sleeps
	// on it as well as on the cell, whose count can come back: granted 1, consumed,
	// granted 1.
	settled atomic.Uint32

	users int // from newCondPlace to drop, under condLines
}

// condLines has the line of each Cond on which goroutines of this process wait.
var condLines = struct {
	sync.Mutex
	of map[*Cond]*condLine
}{of: make(map[*Cond]*condLine)}

// A condPlace is one goroutine in a line.
type condPlace struct {
	cond *Cond
	cell *atomic.Uint64 // of this process, whose cell it stays while somebody waits
	line *condLine
	turn chan struct{} // has a token once there is something to do: granted, or the watcher

	// Under the line's mu.
	at      *list.Element // in the queue; nil with a grant
	gaveUp  bool
	granted bool
}

// newCondPlace enters the line of c. The caller holds the lock.
func newCondPlace(c *Cond, cell *atomic.Uint64) *condPlace {
	condLines.Lock()
	l := condLines.of[c]
	if l == nil {
		l = new(condLine)
		condLines.of[c] = l
	}
	l.users++
	condLines.Unlock()

	p := &condPlace{cond: c, cell: cell, line: l, turn: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.at = l.queue.PushBack(p)
	if l.watcher == nil {
		l.appoint(p.at)
	}
	return p
}

// drop forgets the line of c when nobody waits any more.
func (l *condLine) drop(c *Cond) {
	condLines.Lock()
	defer condLines.Unlock()
	if l.users--; l.users == 0 {
		delete(condLines.of, c)
	}
}

// look reports whether this place has a grant. If not, it returns what will have
// changed when it has one.
func (p *condPlace) look() (count, settled uint32, granted bool) {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	w := p.cell.Load()
	l.share(w)
	return countOf(w), l.settled.Load(), p.granted
}

// giveUp makes another the watcher. The place keeps its turn.
func (p *condPlace) giveUp() {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	p.gaveUp = true
	if l.watcher == p {
		l.appoint(p.at.Next())
	}
}

// settle is step 7, with the lock held, and the last that a waiter does with its
// line. It reports whether there was a grant for this place.
func (p *condPlace) settle() (granted bool) {
	l := p.line
	defer l.drop(p.cond)
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := true // unless memory lies, or this process was taken for dead: then the cell may be another's
	for done := false; !done; {
		w := p.cell.Load()
		counted = ownerOf(w) == roster.Me() && waitingOf(w) > 0
		l.share(w)
		next := w - condWaiting
		if p.granted && grantedOf(w) > 0 {
			next -= condGranted
		}
		probe.At(probe.Cond277)
		done = !counted || p.cell.CompareAndSwap(w, next)
	}
	l.settled.Add(1)
	if p.granted {
		l.taken--
	} else {
		l.queue.Remove(p.at)
	}
	if !counted {
		panic("psync: a Cond says waiting 0 for a process that waits")
	}
	check.Acquire(p.cell)
	return p.granted
}

// share gives what the cell w grants to the oldest in the queue.
func (l *condLine) share(w uint64) {
	for l.taken < int(grantedOf(w)) && l.queue.Len() > 0 {
		p := l.queue.Remove(l.queue.Front()).(*condPlace)
		p.at, p.granted = nil, true
		l.taken++
		if l.watcher == p {
			l.watcher = nil
		}
		p.wake()
	}
	if l.watcher == nil {
		l.appoint(l.queue.Front())
	}
}

// appoint makes the first from e on that has not given up the watcher.
func (l *condLine) appoint(e *list.Element) {
	l.watcher = nil
	for ; e != nil; e = e.Next() {
		if p := e.Value.(*condPlace); !p.gaveUp {
			l.watcher = p
			p.wake()
			return
		}
	}
}

func (p *condPlace) wake() {
	select {
	case p.turn <- struct{}{}:
	default: // the watcher has a grant now
	}
}
