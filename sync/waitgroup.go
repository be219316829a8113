package sync

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// ErrMemberDied is told by Wait of a [WaitGroup] if a process died before it was
// done with what it had claimed.
var ErrMemberDied = errors.New("psync: a process died before it was done with its part of a WaitGroup")

// A WaitGroup counts what is still to be done, by goroutines of any process, and
// lets others wait until that is nothing. The zero value counts nothing.
//
// What [WaitGroup.Add] counts is nobody's: if the process that was to do it dies,
// nobody is left to call Done, and nobody knows. So a process that is given work
// claims its part first, with [WaitGroup.Claim]; what [WaitGroup.Go] starts is
// claimed from the beginning. One rule holds for what is claimed: it is the
// claimer's to call Done for, and it is given back when the claimer's process ends
// in any way. Waiters wait for the rest, and are then told: [ErrMemberDied], until
// [WaitGroup.Reset]. They are told once it is certain that no thread of the dead
// process still writes.
//
// What Done's callers did before it is visible to whoever Wait has let through.
// A group that has come to zero may be used again at once, even while some have
// not yet returned from Wait: they wait for the round in which they came.
//
// At most 59 processes may have claimed something at a time, and at most 2^31-1 be
// counted.
//
// Layout, version 1, 512 bytes, the processor's byte order:
//
//	off size field
//	  0    8 mu           held during each change
//	  8    4 seq          on which waiters sleep
//	 12    4 top          how many cells were used so far
//	 16    8 state        round, mark, and what nobody has claimed
//	 24    8 recordCell   a cell's next content; 0: there is no record
//	 32    8 recordState  the state's next content
//	 40  472 cells        what each process has claimed; see holders.go
//
// How they change: see waitgroupchange.go.
type WaitGroup struct {
	_           structs.HostLayout
	mu          Mutex
	seq         atomic.Uint32
	top         atomic.Uint32
	state       atomic.Uint64
	recordCell  atomic.Uint64
	recordState atomic.Uint64
	cells       [59]atomic.Uint64
}

// Add adds delta to what is counted; it is nobody's. A negative delta takes back
// what this process has claimed first, and then what nobody has. When nothing is
// left, all who wait go on.
//
// Add panics if less is left than it is to take back (what others have claimed is
// not counted, nor what the dead had), or if the count would pass 2^31-1; the
// group is then unharmed. Like all methods without an error it panics as well if
// this process cannot join the roster of processes.
func (w *WaitGroup) Add(delta int) {
	if delta != 0 {
		w.must(w.add, delta)
	}
}

// Done is Add(-1).
func (w *WaitGroup) Done() { w.must(w.add, -1) }

// Go calls f in a new goroutine, and counts it until f has returned. It is claimed
// for this process: if the process dies, and be it by a panic of f, waiters in
// others are told. A process that uses Go must not call Done for what nobody has
// claimed: Done takes from its claims first, and what is left of the two would be
// nobody's.
//
// Go panics if 59 other processes have claimed something; then Add and a goroutine
// that calls Done does it, without the rule for deaths.
func (w *WaitGroup) Go(f func()) {
	w.must(w.start, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				panic(v) // it ends the process, as with std: Done would let others go on meanwhile
			}
			w.Done()
		}()
		f()
	}()
}

// Claim makes n of what was added this process's own: from now on it is given back
// if the process dies. A child calls it when it begins with its part, and then
// Done n times as usual. What dies before it has claimed was never seen by the
// group; whoever started it must take its part back.
//
// Claim fails if 59 other processes have claimed something, or if this process
// cannot join the roster of processes. It panics if n is negative, or less than n
// was added and not yet claimed.
func (w *WaitGroup) Claim(n int) error {
	if n < 0 {
		panic(fmt.Sprintf("psync: Claim(%d) of a WaitGroup: negative", n))
	}
	return w.do(w.claim, n)
}

// Reset forgets that members died, for the next use. It panics if something is
// still counted. Who has not yet returned from a Wait may miss what is forgotten.
func (w *WaitGroup) Reset() { w.must(w.forget, 0) }

// A dyingError is the outcome of an operation that cannot be carried out before a
// dead process has stopped.
type dyingError roster.ID

func (e dyingError) Error() string {
	return fmt.Sprintf("psync: the dead %v has not stopped yet", roster.ID(e))
}

// A misuseError is an operation's outcome that its caller must hear of by a panic.
type misuseError string

func (e misuseError) Error() string { return string(e) }

// must is do for methods that return no error.
func (w *WaitGroup) must(op func(n int) error, n int) {
	if err := w.do(op, n); err != nil {
		panic(err)
	}
}

// do carries out an operation under mu. Misuse is found before anything is changed,
// and panics after mu was released. So is it found that a dead process must stop
// first; the operation begins anew after that.
func (w *WaitGroup) do(op func(n int) error, n int) error {
	for {
		if err := w.lock(context.Background()); err != nil {
			return err
		}
		err := op(n)
		w.unlock()
		switch outcome := err.(type) {
		case misuseError:
			panic(string(outcome))
		case dyingError:
			if err := w.settle(context.Background(), roster.ID(outcome)); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (w *WaitGroup) add(delta int) error {
	if delta > 0 {
		if room, err := w.room(delta); err != nil {
			return err
		} else if !room {
			return misuseError(fmt.Sprintf("psync: Add(%d) to a WaitGroup that counts %d: more than 2^31-1", delta, w.total()))
		}
		w.change(nil, 0, w.state.Load()+uint64(delta))
		return nil
	}
	state, n, claimed := w.state.Load(), uint64(-delta), uint64(0)
	own := ownCell(w.used(), roster.Me(), 0)
	if own != nil {
		claimed = uint64(countOf(own.Load()))
	}
	mine := min(n, claimed)
	if n-mine > unclaimedOf(state) {
		_ = w.bury(nil) // so that the numbers are right, and waiters know; those of the dying still count
		state = w.state.Load()
		return misuseError(fmt.Sprintf("psync: Add(%d) by process %d to a WaitGroup of which it has claimed %d, nobody %d, others %d: negative",
			delta, os.Getpid(), claimed, unclaimedOf(state), w.total()-claimed-unclaimedOf(state)))
	}
	if mine == 0 {
		own = nil
	}
	w.change(own, cellOf(roster.Me(), uint32(claimed-mine)), state-(n-mine))
	return nil
}

// room reports whether n more may be counted. The error is a dyingError: it may be so
// later.
func (w *WaitGroup) room(n int) (bool, error) {
	if w.total()+uint64(n) <= math.MaxInt32 {
		return true, nil
	}
	dying := w.bury(nil)
	room := w.total()+uint64(n) <= math.MaxInt32
	if !room && dying != 0 {
		return false, dyingError(dying)
	}
	return room, nil
}

func (w *WaitGroup) start(n int) error {
	own, err := w.ownCell()
	if err != nil {
		return err
	}
	if room, err := w.room(n); err != nil {
		return err
	} else if !room {
		return misuseError(fmt.Sprintf("psync: Go of a WaitGroup that counts %d: more than 2^31-1", w.total()))
	}
	w.change(own, own.Load()+uint64(n)<<countShift, w.state.Load())
	return nil
}

func (w *WaitGroup) claim(n int) error {
	if n == 0 {
		return nil
	}
	if unclaimed := unclaimedOf(w.state.Load()); uint64(n) > unclaimed {
		return misuseError(fmt.Sprintf("psync: Claim(%d) by process %d of a WaitGroup of which nobody has claimed %d", n, os.Getpid(), unclaimed))
	}
	own, err := w.ownCell()
	if err != nil {
		return err
	}
	w.change(own, own.Load()+uint64(n)<<countShift, w.state.Load()-uint64(n))
	return nil
}

func (w *WaitGroup) forget(int) error {
	if dying := w.bury(nil); dying != 0 {
		return dyingError(dying)
	}
	if n := w.total(); n != 0 {
		return misuseError(fmt.Sprintf("psync: Reset of a WaitGroup that counts %d", n))
	}
	w.change(nil, 0, w.state.Load()&^groupLost)
	return nil
}
