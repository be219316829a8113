package shm

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// Idle waits look again after 10 ms, then after twice as long, up to 2 s. It is
// a net: without it an item could lie beside a sleeper for as long as nothing
// else happens if a process is stopped, with SIGSTOP, just after it was woken
// for that item; or if more members die than can be watched. Tests take the net
// away.
var (
	firstLook = 10 * time.Millisecond
	lastLook  = 2 * time.Second
)

// ringBudget is how long it pays to look for items or room before sleeping.
var ringBudget spin.Budget

// A wait is one goroutine's wait for one event. If it has a gate, one goroutine
// of the process at a time sleeps, and the others wait at the gate, each with
// its own context, and cost no thread.
type wait struct {
	ctx   context.Context
	event *event
	pace  *spin.Pace
	gate  chan struct{} // holds a token while nobody sleeps; may be nil

	others others

	sleeper *await.Sleeper // not nil: through the gate
	slept   bool           // it may have consumed a wake
	bound   time.Duration
}

// until returns when it is time to look again: something has changed since the
// last look, or may have. It does the steps 51 to 55.
//
// Changed is the look before the sleep, quick the one that is done again and again
// before that: it costs no more than reading a few words. Nil means that there is
// no such look.
func (w *wait) until(quick, changed func() bool) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.sleeper == nil {
		if quick != nil && w.pace.Until(&ringBudget, quick) {
			return nil
		}
		if w.gate != nil {
			select {
			case <-w.gate:
			case <-w.ctx.Done():
				return w.ctx.Err()
			}
		}
		w.sleeper, w.bound = await.New(w.ctx), firstLook
	}
	bound := w.bound
	if !arm(w.sleeper, w.event, w.others) {
		bound = futex.PollInterval
	}
	probe.At(probe.Wait53)
	if changed() {
		w.sleeper.Forget()
		w.bound = firstLook
		return nil
	}
	probe.At(probe.Wait54)
	w.sleeper.Sleep(bound)
	w.slept = true
	probe.At(probe.Wait55)
	w.sleeper.PassOn()
	w.bound = min(2*w.bound, lastLook)
	return nil
}

// arm is steps 51 and 52. The caller looks again before it sleeps. It reports
// false if a change could be overlooked: then the sleep must be short.
func arm(w watcher, e *event, o others) bool {
	probe.At(probe.Wait51)
	w.Watch(&e.word, e.announce())
	probe.At(probe.Wait52)
	return o.watch(w) && barrier.Everywhere()
}

// end ends the wait. Who gives up after a sleep may have consumed the wake for
// an item that it does not take.
func (w *wait) end(err error) {
	if w.sleeper == nil {
		return
	}
	w.sleeper.Stop()
	if w.gate != nil {
		w.gate <- struct{}{}
	}
	if err != nil && w.slept {
		probe.At(probe.Wait61)
		w.event.passOn()
	}
}

// A watcher collects what a sleep is to watch.
type watcher interface {
	Watch(word *atomic.Uint32, val uint32) bool
	WatchLife(life roster.Sight) bool
}

// The others are those whose death ends a wait: the members of a queue, or who
// has the other end of a pipe.
type others interface {
	// watch adds their liveness to what a sleep is to watch. It reports false if
	// something could happen of which nothing that is watched tells.
	watch(w watcher) bool
}
