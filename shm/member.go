package shm

import (
	"context"
	"fmt"
	"structs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A member is a process that has a queue open. Its entry is void when it is
// dead, and the next one to come may take it.
//
//	off size field
//	  0    8 owner    roster id; in the upper half how often it is registered as a producer
//	  8    8 tasks    items that it has got, and in the upper half how many of them are done
//	 16    4 handles  how often the process has the queue open; its own affair
//	 20   44 -
type member struct {
	_       structs.HostLayout
	owner   atomic.Uint64
	tasks   atomic.Uint64
	handles uint32
	_       [44]byte
}

const (
	memberSize  = 64
	memberCount = 512

	producerStep = 1 << 32 // of owner
	doneStep     = 1 << 32 // of tasks
)

// A memberTable is the table of members as one process sees it.
type memberTable struct {
	words   *ringWords
	entries []member
	me      *member
	fenced  []atomic.Uint32 // for each entry the dead member that was last found to have stopped
}

// memberMutex guards the handles of this process's entries.
var memberMutex sync.Mutex

// join gives this process an entry, or finds the one that it has. If all others
// are taken, it waits for a dead process to stop.
func (t *memberTable) join(words *ringWords, entries []member) error {
	t.words, t.entries, t.fenced = words, entries, make([]atomic.Uint32, len(entries))
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	for {
		late, i, err := t.enter()
		if late == 0 || ctx.Err() != nil {
			return err
		}
		t.fence(ctx, i, late) // without the mutex
	}
}

// enter finds the entry that this process has, or takes one: the first that is
// free, or of a process that is dead and has stopped. A late thread of that must
// not count for us. It wakes who sleeps, so that they watch the newcomer as well.
//
// If there is no such entry, but one of a dead process that has not stopped, it
// returns that process and the entry's index.
func (t *memberTable) enter() (late roster.ID, at int, err error) {
	memberMutex.Lock()
	defer memberMutex.Unlock()
	for i := range t.used() {
		if ownerOf(&t.entries[i]) == roster.Me() {
			t.me = &t.entries[i]
			t.me.handles++
			return 0, 0, nil
		}
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	words, stopping := t.words, 0
	for i := range t.entries {
		m := &t.entries[i]
		old := m.owner.Load()
		if id := roster.ID(old & roster.Mask); id != 0 {
			if roster.Look(id).Alive {
				continue
			}
			if !t.fence(over, i, id) {
				late, at, stopping = id, i, stopping+1
				continue
			}
		}
		probe.At(probe.Member62)
		if !m.owner.CompareAndSwap(old, uint64(roster.Me())) {
			continue
		}
		m.tasks.Store(0) // until here Join counts too many, never too few
		m.handles = 1
		t.me = m
		for n := words.highest.Load(); n <= uint32(i); n = words.highest.Load() {
			words.highest.CompareAndSwap(n, uint32(i)+1)
		}
		words.items.alarm(0)
		words.room.alarm(0)
		words.finished.alarm(0)
		return 0, 0, nil
	}
	if stopping > 0 {
		return late, at, fmt.Errorf("%w: %d processes have it open, or have died and have threads that did not stop within %v (%d)", ErrFull, memberCount, stopPatience, stopping)
	}
	return 0, 0, fmt.Errorf("%w: %d processes have it open", ErrFull, memberCount)
}

// stopPatience is how long an object that is being received waits for the threads
// of a dead process that had it. One that has become another program takes the
// fence a second to tell.
const stopPatience = 2 * time.Second

// awaitStop returns when no thread of a dead process runs any more.
func awaitStop(id roster.ID) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	pid := roster.Look(id).Pid
	if roster.Fence(ctx, id) != nil {
		return fmt.Errorf("process %d, which had it, has died, but a thread of it sits in a system call and did not stop within %v", pid, stopPatience)
	}
	return nil
}

// leave gives one use up, and registrations with it. The last one frees the
// entry.
func (t *memberTable) leave(registrations uint32) {
	memberMutex.Lock()
	defer memberMutex.Unlock()
	probe.At(probe.Member62)
	if t.me.handles--; t.me.handles == 0 {
		t.me.owner.Store(0)
	} else {
		t.register(-int64(registrations))
	}
	t.words.items.alarm(0)
	t.words.finished.alarm(0)
}

// register counts this process as a producer n times more.
func (t *memberTable) register(n int64) { t.me.owner.Add(uint64(n * producerStep)) }

func ownerOf(m *member) roster.ID { return roster.ID(m.owner.Load() & roster.Mask) }

// used is how many entries may have an owner.
func (t *memberTable) used() int { return int(min(t.words.highest.Load(), memberCount)) }

// watch is step 52: it watches the other members that live. If there are more
// than can be watched, the death of one of the others in the middle of a commit
// or just after it was woken is found out at the sleeper's next look.
//
// A dead one may still have a thread that commits and will never wake anybody,
// so it is fenced before the caller looks again. It reports false if that takes
// longer.
func (t *memberTable) watch(w watcher) bool {
	stopped := true
	for i := range t.used() {
		m := &t.entries[i]
		id := ownerOf(m)
		if id == 0 || m == t.me {
			continue
		}
		if life := roster.Look(id); !life.Alive {
			stopped = t.stopped(i, id) && stopped
		} else if !w.WatchLife(life) {
			break
		}
	}
	return stopped
}

// stopped is fence for who does not wait long.
func (t *memberTable) stopped(i int, id roster.ID) bool {
	ctx, cancel := patient(atOnce)
	defer cancel()
	return t.fence(ctx, i, id)
}

// fence reports whether no thread of a dead member runs any more, at the latest
// when ctx ends. Of each that has stopped it asks once.
func (t *memberTable) fence(ctx context.Context, i int, id roster.ID) bool {
	if t.fenced[i].Load() == uint32(id) {
		return true
	}
	if roster.Fence(ctx, id) != nil {
		return false
	}
	t.fenced[i].Store(uint32(id))
	return true
}

// producing reports whether a registered producer lives.
func (t *memberTable) producing() bool {
	for i := range t.used() {
		w := t.entries[i].owner.Load()
		if w >= producerStep && roster.Look(roster.ID(w&roster.Mask)).Alive {
			return true
		}
	}
	return false
}

// got counts items that this process has got. The getting side is locked.
func (t *memberTable) got(n uint32) {
	for {
		w := t.me.tasks.Load()
		if t.me.tasks.CompareAndSwap(w, w&^(doneStep-1)|uint64(uint32(w)+n)) {
			return
		}
	}
}

// done is step 60: it counts tasks of this process as done, and reports false
// if it has not got so many.
func (t *memberTable) done(n uint32) bool {
	for {
		w := t.me.tasks.Load()
		got, done := uint32(w), uint32(w>>32)
		if got-done < n {
			return false
		}
		probe.At(probe.Done60)
		if !t.me.tasks.CompareAndSwap(w, w+uint64(n)*doneStep) {
			continue
		}
		if got-done == n && t.words.finished.word.Load()&eventSleeper != 0 {
			t.words.finished.wake(futex.All)
		}
		return true
	}
}

// underway returns how many items living members have got and not done. The
// getting side is locked.
func (t *memberTable) underway() uint32 {
	sum := uint32(0)
	for i := range t.used() {
		m := &t.entries[i]
		if id := ownerOf(m); id != 0 && roster.Look(id).Alive {
			w := m.tasks.Load()
			sum += uint32(w) - uint32(w>>32)
		}
	}
	return sum
}
