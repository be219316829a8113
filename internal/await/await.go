// Package await lets a goroutine sleep in the kernel until something in shared
// memory changes, a process dies, a descriptor becomes ready, or its context
// ends, whichever comes first.
package await

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// maxThreads is how many threads of this process may sleep here at once. Go
// ends a program that has 10,000.
const maxThreads = 1000

// threads counts the threads that sleep here now.
var threads atomic.Int32

// A Sleeper is one goroutine's wait for one thing, over as many sleeps as it
// takes. Before each sleep it is told anew what to watch.
type Sleeper struct {
	ctx   context.Context
	began time.Time

	// cancelled is a word that each sleep watches; the context's end writes it.
	// The kernel gets its address as an integer, so it must be part of a heap
	// object, which does not move.
	cancelled atomic.Uint32
	stopWatch func() bool

	words      []futex.Waiter // for the next sleep; one place is kept for cancelled
	lives      []roster.Sight
	bound      time.Duration
	room       [8]futex.Waiter
	pollPeriod time.Duration
}

// New begins a wait. It must be stopped.
func New(ctx context.Context) *Sleeper {
	s := &Sleeper{ctx: ctx, began: time.Now(), pollPeriod: futex.PollInterval}
	s.words = s.room[:0]
	return s
}

// Stop ends the watch on the context.
func (s *Sleeper) Stop() {
	if s.stopWatch != nil {
		s.stopWatch()
	}
}

// Waited returns how long this wait has lasted.
func (s *Sleeper) Waited() time.Duration { return time.Since(s.began) }

// Watch ends the next sleep when word differs from val. It does nothing if too
// much is watched already, and reports that.
func (s *Sleeper) Watch(word *atomic.Uint32, val uint32) bool {
	if len(s.words) == futex.MaxWaiters-1 {
		return false
	}
	s.words = append(s.words, futex.Watch(word, val))
	return true
}

// WatchLife ends the next sleep when the process of a sight dies; see PassOn.
func (s *Sleeper) WatchLife(life roster.Sight) bool {
	if !s.Watch(life.Word, life.Seen) {
		return false
	}
	s.lives = append(s.lives, life)
	if life.Unwatched {
		s.limit(futex.PollInterval)
	}
	return true
}

func (s *Sleeper) limit(bound time.Duration) {
	if s.bound == 0 || bound < s.bound {
		s.bound = bound
	}
}

// Sleep returns when something that is watched has changed, when the context
// has ended, after the bound, or for no reason. Every return may have consumed
// a wake. The words are queued in the order in which they were named.
func (s *Sleeper) Sleep(bound time.Duration) {
	s.limit(bound)
	s.sleep()
	s.words, s.bound = s.words[:0], 0
}

// PassOn follows each sleep. If a process that was watched has died, it wakes
// the others who watch it: the kernel wakes only one.
func (s *Sleeper) PassOn() {
	for _, life := range s.lives {
		life.PassOn()
	}
	s.lives = s.lives[:0]
}

// Forget is for a sleep that is not needed after all.
func (s *Sleeper) Forget() { s.words, s.lives, s.bound = s.words[:0], s.lives[:0], 0 }

func (s *Sleeper) sleep() {
	defer threads.Add(-1)
	if threads.Add(1) > maxThreads {
		s.poll()
		return
	}
	if s.stopWatch == nil && s.ctx.Done() != nil {
		s.stopWatch = context.AfterFunc(s.ctx, func() {
			s.cancelled.Store(1)
			futex.Wake(&s.cancelled, futex.All)
		})
	}
	words := append(s.words, futex.Watch(&s.cancelled, 0))
	if err := futex.WaitV(words, futex.After(s.bound)); err != nil {
		panic(errSleep(err))
	}
}

// errSleep says why the kernel has refused a sleep. What the caller holds is not let
// go on the way out: it lies in the memory that is gone, and to touch that would end
// the program with less to say.
func errSleep(err error) error {
	if err == unix.EFAULT {
		return fmt.Errorf("multiproc: what was waited for is no longer mapped: %w", err)
	}
	return fmt.Errorf("multiproc: the kernel refuses to sleep: %w", err)
}

// poll is a sleep without a thread.
func (s *Sleeper) poll() {
	select {
	case <-time.After(s.pollPeriod):
	case <-s.ctx.Done():
	}
	s.pollPeriod = min(2*s.pollPeriod, 100*time.Millisecond)
}
