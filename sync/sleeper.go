package sync

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// maxThreads is how many threads of this process may sleep on locks at once. Go
// ends a program that has 10,000.
const maxThreads = 1000

// sleepers counts the threads that sleep on locks now.
var sleepers atomic.Int32

// A sleeper is one goroutine's wait for one lock, over as many sleeps as it
// takes.
type sleeper struct {
	ctx   context.Context
	began time.Time

	// cancelled is a word that each sleep watches; the context's end writes it.
	// The kernel gets its address as an integer, so it must be part of a heap
	// object, which does not move.
	cancelled  atomic.Uint32
	words      [4]futex.Waiter
	stopWatch  func() bool
	pollPeriod time.Duration
}

func newSleeper(ctx context.Context) *sleeper {
	return &sleeper{ctx: ctx, began: time.Now(), pollPeriod: futex.PollInterval}
}

// waited returns how long this wait has lasted.
func (s *sleeper) waited() time.Duration { return time.Since(s.began) }

// sleep is step 7: it returns when the word differs from val, when the process
// in the way has died, when the context has ended, after the bound, or for no
// reason. Every return may have consumed a wake.
//
// Only an heir watches the upper half, so that its wake reaches nobody else, and
// it queues there first: an unlock changes the lower half and then wakes the
// upper. Queued on the lower half alone, the heir would miss that wake, find
// the upper half unchanged, and sleep.
func (s *sleeper) sleep(word *atomic.Uint64, val uint64, heir bool, blocker roster.Sight, bound time.Duration) {
	defer sleepers.Add(-1)
	if sleepers.Add(1) > maxThreads {
		s.poll()
		return
	}
	if s.stopWatch == nil && s.ctx.Done() != nil {
		s.stopWatch = context.AfterFunc(s.ctx, func() {
			s.cancelled.Store(1)
			futex.Wake(&s.cancelled, futex.All)
		})
	}
	if blocker.Unwatched {
		bound = min(bound, futex.PollInterval)
	}
	watched := s.words[:0]
	if heir {
		watched = append(watched, futex.Watch(highHalf(word), uint32(val>>heirShift)))
	}
	watched = append(watched,
		futex.Watch(lowHalf(word), uint32(val)),
		futex.Watch(blocker.Word, blocker.Seen),
		futex.Watch(&s.cancelled, 0))
	if err := futex.WaitV(watched, futex.After(bound)); err != nil {
		panic("psync: the lock is no longer mapped: " + err.Error())
	}
}

// poll is a sleep without a thread.
func (s *sleeper) poll() {
	select {
	case <-time.After(s.pollPeriod):
	case <-s.ctx.Done():
	}
	s.pollPeriod = min(2*s.pollPeriod, longestSleep)
}

// stop ends the watch on the context.
func (s *sleeper) stop() {
	if s.stopWatch != nil {
		s.stopWatch()
	}
}
