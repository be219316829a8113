package sync

import (
	"context"
	"fmt"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A BoundedSemaphore is a fixed number of permits shared by processes. A permit
// belongs to the process that acquired it, as of a System V semaphore with SEM_UNDO: only
// that one can release it, from any goroutine, and if it dies in any way, its
// permits are free again at once; those who wait are woken by that. They get them
// when it is certain that no thread of the dead process still writes. What the
// permits stood for may be half-changed; nobody is told.
//
// The zero value has the limit 0: call [BoundedSemaphore.Init] first.
//
// Who has to wait stands in line, as at a [Semaphore]. At most 61 processes hold
// permits at once; another waits until one of them holds none. A process that is
// stopped is alive: it keeps its permits, and its place in line.
//
// Layout, version 1, 512 bytes, the processor's byte order; see the steps below:
//
//	off size field
//	  0    8 turn   lock word of the line
//	  8    4 limit  how many permits there are; 0 = no Init
//	 12    4 line   0 = open, 1 = closed, 2 = closed, and the first sleeps
//	 16    4 seq    futex on which the first sleeps
//	 20    4 top    no cell from here on was ever used
//	 24  488 cells  table of holders
type BoundedSemaphore struct {
	_     structs.HostLayout
	turn  atomic.Uint64
	limit atomic.Uint32
	line  atomic.Uint32
	seq   atomic.Uint32
	top   atomic.Uint32
	cells [boundedCells]atomic.Uint64
}

// The count of a cell (see holders.go) has two halves:
//
//	63..48  claimed  how many permits the process is about to take, or else to give up
//	47..32  held     how many it holds
//
// There is no word with the number of free permits. They are what the cells leave
// of the limit: then a death can neither lose nor create any.
//
// The steps, with the numbers of the probe points. A look is 242 to 245.
//
//	Acquire  241  line is open: a look; got them: done            the fast path
//	         242  CAS own cell: claimed + n
//	         243  line still open (the first in line does not ask), and the sum of all cells <= limit:
//	         244     CAS own cell: n from claimed to held; got them
//	         245  else CAS own cell: claimed - n;  line == 2, and I am not the first: seq++, wake one
//	         246  Lock(turn), without 5; a dead owner is fine: there is nothing to repair
//	         247  line = 1, a look;  then again and again: line = 2, s = seq, a look
//	         248  each cell of a dead process that has passed the fence: CAS -> 0;  there
//	              was one, or the others leave n: 247
//	         249  sleep while seq == s, L of all with a count in 248 as seen, not cancelled;
//	              at most 100 ms, or 5 ms if a dead one has not passed the fence; 247
//	         250  line = 0, unless somebody waits for turn
//	         251  Unlock(turn)
//	Release  252  CAS own cell: held - n;  fewer: ErrTooMany
//	         253  line == 2: seq++, wake one
//
// Invariant: the sum of what is held, the dead included, is never above the limit.
// Of several that look at once, the last to claim sees the claims of all others.
// So too many never get permits; that all of them back off can happen, and then
// turn brings them one after the other.
//
// Why nobody is forgotten: the first in line sleeps after it has read, with line = 2
// and seq read before, cells that leave too little. Whoever has less afterwards
// than was read sees line = 2, and raises seq. Or it dies before: then its L tells,
// which is watched because its cell was read so. That is why 248 adds up once more:
// somebody may have given back, and died, between the look and 248.
//
// Why 243 looks at line again: from the moment when line is closed only those get
// permits whose claims are in their cells by then. So who has turn can wait until
// there is no such claim; from there on what is held only falls, until it opens
// the line again. That makes the no of TryAcquire exact.
const (
	boundedCells = 61
	boundedMost  = 1<<16 - 1

	claimedShift = 48
	heldShift    = countShift
)

// What line says.
const (
	lineOpen = iota
	lineClosed
	lineSleeps
)

func claimedOf(w uint64) uint32 { return uint32(w >> claimedShift) }
func heldOf(w uint64) uint32    { return uint32(w >> heldShift & boundedMost) }

// Init sets the number of permits, at most 65535. Each process may call it; it is
// an error if another number was set.
func (b *BoundedSemaphore) Init(limit int) error {
	if limit < 1 || limit > boundedMost {
		return fmt.Errorf("psync: a bounded semaphore has 1 to %d permits, not %d", boundedMost, limit)
	}
	if !b.limit.CompareAndSwap(0, uint32(limit)) && b.limit.Load() != uint32(limit) {
		return fmt.Errorf("psync: the bounded semaphore was set up with %d permits, not %d", b.limit.Load(), limit)
	}
	return nil
}

// Acquire takes n permits, all at once, and waits for them as long as it takes.
// It returns
//
//   - nil: this process holds n permits more;
//   - an error that matches [ErrTooMany], at once, if n is above the limit;
//   - the context's error, or one about the roster of processes: none is taken.
//
// With a context that has already ended it never waits. It panics if n is
// negative; 0 permits are there always.
func (b *BoundedSemaphore) Acquire(ctx context.Context, n int) error {
	if err := b.check("Acquire", n); err != nil || n == 0 {
		return err
	}
	me, err := roster.Join()
	if err != nil {
		return fmt.Errorf("psync: %w", err)
	}
	r := request{b, me, uint32(n)}
	if !r.quick() {
		if err := r.inLine(ctx); err != nil {
			return err
		}
	}
	check.Acquire(&b.turn)
	return nil
}

// TryAcquire takes n permits if that many are free and nobody waits in line, and
// never waits for one. Its no is exact: at some moment of the call fewer were
// free, or somebody stood in line. For that it waits until other processes have finished
// the few steps that they are in the middle of, for at most 100 ms: then one is
// stopped there, and the no is a guess. It panics if n is negative, or this
// process cannot join the roster of processes.
func (b *BoundedSemaphore) TryAcquire(n int) bool {
	if err := b.check("TryAcquire", n); err != nil || n == 0 {
		return err == nil
	}
	me, err := roster.Join()
	if err != nil {
		panic(fmt.Errorf("psync: %w", err))
	}
	r := request{b, me, uint32(n)}
	if !r.quick() && !r.try() {
		return false
	}
	check.Acquire(&b.turn)
	return true
}

// Release gives n permits of this process back. It returns an error that matches
// [ErrTooMany], and gives back none, if this process holds fewer. It panics if n is
// negative.
func (b *BoundedSemaphore) Release(n int) error {
	mustNotBeNegative("Release", n)
	if n == 0 {
		return nil
	}
	check.Release(&b.turn)
	me := roster.Me()
	probe.At(probe.Bound252)
	for {
		cell := ownCell(b.used(), me, 0)
		if cell == nil || me == 0 {
			return fmt.Errorf("psync: Release(%d) by a process that holds 0: %w", n, ErrTooMany)
		}
		w := cell.Load()
		if ownerOf(w) != me {
			continue
		}
		if uint64(heldOf(w)) < uint64(n) {
			return fmt.Errorf("psync: Release(%d) by a process that holds %d: %w", n, heldOf(w), ErrTooMany)
		}
		if cell.CompareAndSwap(w, w-uint64(n)<<heldShift) {
			probe.At(probe.Bound253)
			b.wake()
			return nil
		}
	}
}

// Value returns how many permits are free. Those of dead processes count as free,
// even before somebody has taken them. The answer may be out of date when it
// arrives.
func (b *BoundedSemaphore) Value() int {
	_, err := roster.Join()
	held := 0
	cells := b.used()
	for i := range cells {
		w := cells[i].Load()
		if heldOf(w) > 0 && (err != nil || roster.Look(ownerOf(w)).Alive) {
			held += int(heldOf(w))
		}
	}
	return max(b.Limit()-held, 0)
}

// Limit returns how many permits there are; 0 before Init.
func (b *BoundedSemaphore) Limit() int { return int(b.limit.Load()) }

// check tells whether b can have n permits. It panics if that is no number of
// permits.
func (b *BoundedSemaphore) check(op string, n int) error {
	mustNotBeNegative(op, n)
	limit := b.Limit()
	if limit > boundedMost {
		panic(fmt.Sprintf("psync: bad memory: a bounded semaphore with a limit of %d", limit))
	}
	if limit == 0 && n > 0 {
		return fmt.Errorf("psync: %s(%d) on a bounded semaphore before its Init: %w", op, n, ErrTooMany)
	}
	if n > limit {
		return fmt.Errorf("psync: %s(%d) on a bounded semaphore whose limit is %d: %w", op, n, limit, ErrTooMany)
	}
	return nil
}
