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
	slept bool

	// cancelled is the third word that a sleep watches; the context's end
	// writes it. The kernel gets its address as an integer, so it must be part
	// of a heap object, which does not move.
	cancelled  atomic.Uint32
	words      [3]futex.Waiter
	stopWatch  func() bool
	pollPeriod time.Duration
}

func newSleeper(ctx context.Context) *sleeper {
	return &sleeper{ctx: ctx, pollPeriod: futex.PollInterval}
}

// sleep is step 7: it returns when word differs from val, when its owner has
// died, when the context has ended, after 100 ms, or for no reason. Every
// return may have consumed a wake.
func (s *sleeper) sleep(word *atomic.Uint32, val uint32, owner roster.Sight) {
	s.slept = true
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
	bound := longestSleep
	if owner.Unwatched {
		bound = futex.PollInterval
	}
	s.words = [3]futex.Waiter{
		futex.Watch(word, val),
		futex.Watch(owner.Word, owner.Seen),
		futex.Watch(&s.cancelled, 0),
	}
	if err := futex.WaitV(s.words[:], futex.After(bound)); err != nil {
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
