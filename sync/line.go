package sync

import (
	"context"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// Who must wait for permits stands in a line. It is a lock: whoever holds it is
// first, and alone looks for permits, however long that takes. It guards nothing
// that a dead holder could leave half-changed.
//
// So it is taken from a dead one without the fence: a thread of that one that stops
// late holds up nobody. Such a thread goes on as if it were first yet:
//
//   - It can take permits, or claim some for a moment, as any process may.
//   - It can say in the semaphore's state that nobody is in line, or that the first
//     does not sleep. The first says the contrary before each of its sleeps; for the
//     one that it is in, a release does not wake it.
//   - On the way into its last sleep it can consume the first's wake.
//   - It does not let go what is not its own any more: see leaveLine.
//
// The first, or one after it, can thus sleep beside permits, until its bound of 100 ms.
// That is a matter of single instructions: who sits in a long system call does
// nothing of this.

// enterLine returns when this goroutine is first in line.
func enterLine(ctx context.Context, turn *atomic.Uint64) error {
	me := roster.Me()
	if me != 0 && turn.CompareAndSwap(0, uint64(me)) {
		return nil
	}
	err := acquireFrom(ctx, turn, func(context.Context, roster.ID) error { return nil })
	if holds(err) {
		markConsistent(turn)
		return nil
	}
	return err
}

// lineFollows reports whether somebody waits behind who is first, which is this
// goroutine. It may have given up meanwhile.
func lineFollows(turn *atomic.Uint64) bool {
	w := turn.Load()
	return w&wordW != 0 || heirOf(w) != 0
}

// leaveLine lets the next one be first. If another is already, this is a late
// thread of a dead process.
func leaveLine(turn *atomic.Uint64) {
	me := roster.Me()
	if !turn.CompareAndSwap(uint64(me), 0) && ownerOf(turn.Load()) == me {
		release(turn, me)
	}
}

// firstLives reports whether a living process is first in line, or is to be next.
func firstLives(turn *atomic.Uint64) bool {
	id := ownerOf(turn.Load())
	return id == 0 || roster.Look(id).Alive
}
