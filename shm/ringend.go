package shm

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// ended is steps 57 and 59, for who found the ring empty after it had seen this
// state of the items' event. It returns ErrClosed if nothing more can come, and
// reports whether to look again.
func (r *ring) ended(ctx context.Context, state uint32) (again bool, err error) {
	if state&eventSealed != 0 {
		return false, errClosed
	}
	if state&eventClosing == 0 && !r.orphaned() {
		return false, nil
	}
	probe.At(probe.Seal57)
	if err := r.lock(ctx, &r.words.put, &r.words.items, probe.Put31); err != nil {
		return false, err
	}
	defer r.words.put.Unlock()
	probe.At(probe.Last59)
	if !r.words.items.closing() {
		if r.members.producing() {
			return true, nil // one has registered meanwhile
		}
		r.close()
	}
	r.words.items.word.Or(eventSealed)
	return true, nil
}

// orphaned reports whether producers were registered, and none is left.
func (r *ring) orphaned() bool {
	return r.words.registered.Load() != 0 && !r.members.producing()
}

// close is step 56.
func (r *ring) close() {
	probe.At(probe.Close56)
	r.words.items.alarm(eventClosing)
	r.words.room.alarm(eventClosing)
}
