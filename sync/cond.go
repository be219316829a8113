package sync

import (
	"context"
	"fmt"
	"math"
	"structs"
	"sync"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Cond is a condition variable shared by processes: a place where goroutines
// wait for a change of what a lock guards. The lock is given to each Wait; all
// who use a Cond must use it with the same [Mutex] or [RMutex]. The zero value
// is ready.
//
// A waiter that is killed costs nobody anything: a signal that it had been given
// goes to another one, and no signaller ever waits for a waiter. A signal goes to
// somebody who waited when it was given, never to one who came later, as long as
// nobody is killed. Of the waiters of one process the oldest is next; between
// processes the turn goes round.
//
// A waiter may return without a signal: after a death, and in a process for which
// there is no room any more, from the 32nd that waits at once or the 65,536th
// goroutine of one; that one looks again every 10 ms. So wait in a loop, or with
// WaitFor.
//
// Who takes the lock from a dead holder may be the only one to know that something
// must be done, and does not know whether the dead one had still to signal. Wait
// therefore wakes all others when it learns of a death. After an ErrOwnerDied from
// LockContext, call Broadcast: it is part of the repair. If nobody takes the lock,
// a waiter finds out that its holder is dead: at once if that one has waited or
// signalled somebody here before, or held the lock already when the waiter went to
// sleep; otherwise within 100 ms, after a second of waiting within 2 s. So signal
// with the lock held: of one who is killed after Unlock and before Signal, nobody
// learns that it had still to signal.
//
// Layout, version 1, 256 bytes, little endian; see holders.go for the cells:
//
//	off size field
//	  0    4 start    the cell at which the next Signal begins to look
//	  4    4 members  how often a process has come; the sleepers' second futex
//	  8  248 cells    31 processes: how many of each wait, and how many of these may go
type Cond struct {
	_       structs.HostLayout
	start   atomic.Uint32
	members atomic.Uint32
	cells   [condCells]atomic.Uint64
}

// A process has one cell. Its count has two parts:
//
//	63..48  waiting  goroutines in Wait, from step 1 to step 7
//	47..32  granted  how many of these have been signalled; never more than waiting
//	31..0   owner
//
// The steps; the probe points have these numbers plus 270.
//
//	Wait    1  CAS own cell: waiting+1, holding the lock; after claiming a cell:  14 members++, wake all
//	        2  release the lock, whatever its depth is
//	        3  s = members; 12 and 13 for each cell of a dead process
//	        4  granted > how many of my process's goroutines wait longer than I, or the
//	           lock's holder is dead, or the lock is marked, or cancelled: 6
//	        5  sleep while own count and settled (condline.go) as seen in 4, members == s,
//	           L[owners of all cells, and holder of the lock] as seen, not cancelled; 3
//	        6  take the lock
//	        7  CAS own cell: waiting-1, and granted-1 if granted as in 4
//	        8  the depth as it was
//	        9  the lock came from a dead holder: Broadcast
//	Signal 10  from start on: a cell of a living process with waiting > granted: have a cell, as in 1;
//	           CAS granted+1
//	       11  wake it
//	Void   12  granted times 10 and 11, on behalf of the dead one
//	       13  CAS the cell as read at 12 -> 0, else 12
//
// Why a grant is consumed only with the lock held: a waiter that was signalled
// and dies before 7 leaves the grant in its cell, and 12 passes it on. If it dies
// after 7 it dies holding the lock, which 4 notices.
//
// Why 12 comes before 13: a signal may be given twice, after a second death or by two
// who void one cell at the same time, but is never lost.
//
// Why 14 comes after claiming, and before 1 and 10: a sleeper watches the L of the
// processes that had a cell when it looked. Who comes later changes members. So who
// dies between 10 and 11 is watched by the one whom it was about to wake.
const (
	condWaiting = 1 << 48
	condGranted = 1 << 32

	condCells = 31
)

func waitingOf(w uint64) uint16 { return uint16(w / condWaiting) }
func grantedOf(w uint64) uint16 { return uint16(w / condGranted) }

// A CondLocker is a lock with which one can wait on a [Cond]: a [*Mutex] or a
// [*RMutex].
type CondLocker interface {
	Locker

	// held panics unless the caller may unlock. It returns the lock's word, and
	// its depth if it has one.
	held(op string) (word *atomic.Uint64, depth *uint32)
}

var (
	_ CondLocker = (*Mutex)(nil)
	_ CondLocker = (*RMutex)(nil)
)

// Signal wakes one waiter, if there is any. The caller may hold the lock but
// need not. It panics if somebody waits and this process cannot join the roster
// of processes.
func (c *Cond) Signal() { c.signal() }

// SignalN wakes n waiters, or all if there are fewer. It does nothing if n is
// not positive.
func (c *Cond) SignalN(n int) {
	for range n {
		if !c.signal() {
			return
		}
	}
}

// Broadcast wakes all waiters; see [Cond.Signal].
func (c *Cond) Broadcast() {
	for i := range c.cells {
		c.grant(&c.cells[i], math.MaxUint16)
	}
}

// Wait unlocks l, which the caller must hold, waits for a signal, and locks l
// again, as deep as it was. It panics if the caller does not hold l.
//
// If a holder of l died meanwhile, Wait panics with an [*OwnerDiedError] and
// leaves l free and marked, as [Mutex.Lock] does; who can repair what l guards
// uses WaitContext.
func (c *Cond) Wait(l CondLocker) {
	err := c.wait(context.Background(), l)
	if err == nil {
		return
	}
	if holds(err) {
		_, depth := l.held("Wait")
		unlockAll(l, depth)
	}
	panic(err)
}

// WaitContext is Wait until ctx ends. It panics if the caller does not hold l,
// and otherwise returns with l held, for which it waits as long as it takes:
//
//   - nil: there was a signal;
//   - an error that matches [ErrOwnerDied]: a holder of l died, and what it
//     guards may be half-changed. It does not wait while l is so marked;
//   - the context's error: ctx ended first. No signal was lost by that: one that
//     came at the same moment goes to another waiter, or makes it nil.
//
// With a context that has already ended it lets l go for a moment.
func (c *Cond) WaitContext(ctx context.Context, l CondLocker) error { return c.wait(ctx, l) }

// WaitFor waits until pred returns true, or ctx ends. It calls pred with l held,
// at once, after each WaitContext, and when ctx has ended, and returns its last
// value, with l held. The error is nil if that is true. Otherwise it is
// WaitContext's; if it matches [ErrOwnerDied], pred was not called any more, for
// what l guards must be repaired first.
func (c *Cond) WaitFor(ctx context.Context, l CondLocker, pred func() bool) (bool, error) {
	l.held("WaitFor")
	for !pred() {
		err := c.wait(ctx, l)
		if err == nil {
			continue
		}
		if holds(err) || !pred() {
			return false, err
		}
		break
	}
	return true, nil
}

// signal reports whether somebody waited.
func (c *Cond) signal() bool {
	first := c.start.Load() % condCells
	for i := range uint32(condCells) {
		at := (first + i) % condCells
		if c.grant(&c.cells[at], 1) {
			c.start.Store(at + 1) // a hint: of several at the same time one counts
			return true
		}
	}
	return false
}

// grant is steps 10 and 11 for one cell: it lets n more of its waiters go, or all
// that are left. It reports false if none is left, or their process is dead.
func (c *Cond) grant(cell *atomic.Uint64, n uint16) bool {
	for {
		w := cell.Load()
		if waitingOf(w) <= grantedOf(w) {
			return false
		}
		n := min(n, waitingOf(w)-grantedOf(w))
		me, err := roster.Join() // only its members see who is alive
		if err != nil {
			panic(fmt.Errorf("psync: %w", err))
		}
		if !roster.Look(ownerOf(w)).Alive {
			return false
		}
		c.join(me) // without room only the bound helps, if we die before 11
		check.Release(cell)
		probe.At(probe.Cond280)
		if !cell.CompareAndSwap(w, w+condGranted*uint64(n)) {
			continue
		}
		probe.At(probe.Cond281)
		futex.Wake(highHalf(cell), futex.All) // one, unless the process has mapped c twice
		return true
	}
}

// joining is held by a goroutine of this process that claims a cell of a Cond and
// tells of it. Nobody waits under it.
var joining sync.Mutex

// join returns the cell of process me, of which everybody has been told: step 14,
// if it had none. It returns nil if there is no room.
func (c *Cond) join(me roster.ID) *atomic.Uint64 {
	joining.Lock()
	defer joining.Unlock()
	if own := ownCell(c.cells[:], me, 0); own != nil {
		return own
	}
	cell := claimCell(c.cells[:], me, 0)
	if cell != nil {
		probe.At(probe.Cond284)
		c.members.Add(1)
		futex.Wake(&c.members, futex.All)
	}
	return cell
}

// void is steps 12 and 13 for one cell. It returns a look at its owner, if that
// is another process and alive.
func (c *Cond) void(cell *atomic.Uint64, me roster.ID) (owner roster.Sight) {
	for {
		w := cell.Load()
		id := ownerOf(w)
		if id == 0 || id == me {
			return roster.Sight{}
		}
		owner = roster.Look(id)
		if owner.Alive || countOf(w) == 0 {
			return owner
		}
		check.Acquire(cell)
		probe.At(probe.Cond282)
		c.SignalN(int(grantedOf(w)))
		probe.At(probe.Cond283)
		if cell.CompareAndSwap(w, 0) {
			return roster.Sight{}
		}
	}
}
