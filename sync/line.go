package sync

import (
	"context"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// Who must wait for permits stands in a line. It is a lock: whoever holds it is
// first, and alone looks for permits, however long that takes. It guards nothing
// that a dead holder could leave half-changed.

// enterLine returns when this goroutine is first in line.
func enterLine(ctx context.Context, turn *atomic.Uint64) error {
	me := roster.Me()
	if me != 0 && turn.CompareAndSwap(0, uint64(me)) {
		return nil
	}
	err := acquire(ctx, turn)
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

// leaveLine lets the next one be first.
func leaveLine(turn *atomic.Uint64) {
	me := roster.Me()
	if !turn.CompareAndSwap(uint64(me), 0) {
		release(turn, me)
	}
}

// firstLives reports whether a living process is first in line, or is to be next.
func firstLives(turn *atomic.Uint64) bool {
	id := ownerOf(turn.Load())
	return id == 0 || roster.Look(id).Alive
}
