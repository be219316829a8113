package shm

import (
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/futex"
)

// An event is a word on which those sleep who wait for items, or for room.
//
//	31..3  sequence: raised by each wake, so that a sleeper who looked before the
//	       wake does not go to sleep after it
//	    2  sealed: closing, and nothing is under way any more
//	    1  closing: nothing more is to be put
//	    0  somebody may sleep
//
// A flag and not a count: a sleeper that dies leaves it set, which costs one
// useless wake; a count would stay wrong for ever.
type event struct{ word atomic.Uint32 }

const (
	eventSleeper = 1 << iota
	eventClosing
	eventSealed
	eventStep
)

// announce is step 51. It returns the word that a sleeper is to compare.
func (e *event) announce() uint32 { return e.word.Or(eventSleeper) | eventSleeper }

func (e *event) closing() bool { return e.word.Load()&eventClosing != 0 }

// wake wakes up to n sleepers. If there were n, there may be more, so the flag
// is set again.
func (e *event) wake(n int) {
	for {
		w := e.word.Load()
		if w&eventSleeper == 0 {
			return
		}
		if e.word.CompareAndSwap(w, (w+eventStep)&^eventSleeper) {
			break
		}
	}
	n = min(n, futex.All)
	if futex.Wake(&e.word, n) >= n {
		e.word.Or(eventSleeper)
	}
}

// passOn wakes another sleeper for one that may have been woken in vain. It
// leaves the word alone: it holds no lock, and a commit that found the flag
// cleared meanwhile would wake nobody.
func (e *event) passOn() { futex.Wake(&e.word, 1) }

// alarm sets bits and wakes everybody, whatever the flag says.
func (e *event) alarm(bits uint32) {
	e.word.Or(bits)
	e.word.Add(eventStep)
	futex.Wake(&e.word, futex.All)
}
