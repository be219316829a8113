package sync

import (
	"context"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// An Event is a flag that processes wait for. It is set or clear; the zero value
// is clear.
//
// Nobody owns an event, so no death leaves anything behind: a killed waiter is
// forgotten, and an event is as set as it was. A process that is killed within
// Set has set the event or has not. If it dies before it wakes the sleepers, the next
// Set or Clear does, or they find out by themselves, after 100 ms at first; a sleeper
// that has waited for long looks ever more rarely, after 2 s at most.
//
// It can be waited for together with other things, as processes and queues, by
// Wait of package proc.
//
// Layout, version 1, 4 bytes, the processor's byte order:
//
//	off size field
//	  0    4 word   how often it was set, and flags
//
// The word:
//
//	31..2  count  of changes from clear to set, modulo 2^30
//	1      W      somebody may sleep; with set: somebody may have to be woken
//	0      set
//
// The steps, with the numbers of the probe points:
//
//	Wait   291  w = word: set: true.  c = its count
//	       292  w = word: set, or another count than c: true
//	       293  no W: CAS w -> w | W, else 292
//	       294  sleep while word == w|W and not cancelled; 292
//	Set    295  CAS {c, W, clear} -> {c+1, W, set};  or {c, W, set} -> the same
//	       296  W: wake all
//	       297  CAS {c+1, W, set} -> no W;  failed: others have done it
//	Clear  296  W and set: wake all
//	       298  CAS {c, set} -> {c, no W, clear}
//
// The count is what a waiter waits for: an event that was set and cleared again
// before the waiter looked has another one. A goroutine takes its c before it
// comes to the gate, and there is a gate for each c: who is slow to come to its
// gate does not stand behind one who waits for a later Set already. So all who
// waited when the event was set return true.
//
// Why Set of a set event is a CAS all the same, of the word to itself: who sets
// writes its data first, and who was woken clears the event before it reads. If
// Set only looked, the processor could look before the data has left it, see the
// event still set, and leave; the other one would then clear the event, and read
// the old data. With the CAS one of the two comes after the other.
//
// Why W goes after the wake: who sets may die between the two, and whoever sets or
// clears the event next then wakes in its place.
type Event struct {
	_    structs.HostLayout
	word atomic.Uint32
}

const (
	eventSet   = 1 << 0
	eventW     = 1 << 1
	eventCount = 1 << 2 // one change from clear to set
)

// eventBudget is how long it pays to look at a clear event before sleeping.
var eventBudget spin.Budget

// Set sets e and wakes all who wait for it. What was done before Set is visible
// to whoever learns that e is set, and to whoever clears it.
//
// It asks the kernel for nothing if nobody sleeps.
func (e *Event) Set() {
	if check.Race {
		check.Release(&e.word)
	}
	for {
		w := e.word.Load()
		next := w
		if w&eventSet == 0 {
			next = (w + eventCount) | eventSet
		}
		if probe.Enabled {
			probe.At(probe.Event295)
		}
		if !e.word.CompareAndSwap(w, next) {
			continue
		}
		if w&eventW != 0 {
			e.wake()
			probe.At(probe.Event297)
			e.word.CompareAndSwap(next, next&^eventW)
		}
		return
	}
}

func (e *Event) wake() {
	probe.At(probe.Event296)
	futex.Wake(&e.word, futex.All)
}

// Clear clears e. Who waited when e was set goes on all the same.
func (e *Event) Clear() {
	for {
		w := e.word.Load()
		if w&eventSet != 0 && w&eventW != 0 {
			e.wake()
		}
		if probe.Enabled {
			probe.At(probe.Event298)
		}
		if w&eventSet == 0 || e.word.CompareAndSwap(w, w&^(eventSet|eventW)) {
			break
		}
	}
	if check.Race {
		check.Acquire(&e.word)
	}
}

// IsSet reports whether e is set. It is one load.
func (e *Event) IsSet() bool {
	set := e.word.Load()&eventSet != 0
	if check.Race && set {
		check.Acquire(&e.word)
	}
	return set
}

// Wait waits until e is set, and reports true; if ctx ends first, false. It
// reports true as well if e was set while it waited and is clear again.
//
// With a context that has already ended it reports whether e is set.
func (e *Event) Wait(ctx context.Context) bool {
	if probe.Enabled {
		probe.At(probe.Event291)
	}
	w := e.word.Load()
	if w&eventSet == 0 && !e.waitSlow(ctx, w) {
		return false
	}
	if check.Race {
		check.Acquire(&e.word)
	}
	return true
}

// Await is for waiting for several things at once, as package proc does: an event
// is ready while it is set. Of one that is set and cleared before anybody looked,
// nothing is known afterwards; Wait would have seen it.
func (e *Event) Await(list *await.List) (ready bool) {
	for {
		w := e.word.Load()
		if w&eventSet != 0 {
			if check.Race {
				check.Acquire(&e.word)
			}
			return true
		}
		probe.At(probe.Event293)
		if w&eventW == 0 && !e.word.CompareAndSwap(w, w|eventW) {
			continue
		}
		list.Watch(&e.word, w|eventW)
		list.Bound(longestIdle)
		return false
	}
}

// waitSlow is kept apart so that Wait of a set event is cheap. The event was
// clear, with the word first.
func (e *Event) waitSlow(ctx context.Context, first uint32) bool {
	setSince := func(w uint32) bool { return w&eventSet != 0 || (w^first)/eventCount != 0 }
	happened := func() bool { return setSince(e.word.Load()) }
	if ctx.Err() != nil {
		return happened()
	}
	if eventBudget.Until(happened) {
		return true
	}
	gate, err := enterRound(ctx, &e.word, first/eventCount)
	if err != nil {
		return happened()
	}
	defer gate.leave()

	s := await.New(ctx)
	defer s.Stop()
	for {
		probe.At(probe.Event292)
		w := e.word.Load()
		if setSince(w) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		probe.At(probe.Event293)
		if w&eventW == 0 && !e.word.CompareAndSwap(w, w|eventW) {
			continue
		}
		s.Watch(&e.word, w|eventW)
		probe.At(probe.Event294)
		s.Sleep(idle(s))
	}
}
