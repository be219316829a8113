package shm

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// beginGet waits for an item, and returns with the getting side locked: where to
// get, and how many units are filled there.
func (r *ring) beginGet(ctx context.Context, wanted uint32) (head position, filled uint32, err error) {
	head, filled, seen, err := r.lookGet(ctx, wanted)
	if err != ErrEmpty || ctx == atOnce {
		return head, filled, err
	}
	return r.waitGet(ctx, wanted, seen)
}

// waitGet is beginGet for who has found the ring empty.
func (r *ring) waitGet(ctx context.Context, wanted uint32, seen position) (head position, filled uint32, err error) {
	err = ErrEmpty
	w := r.wait(ctx, &r.items)
	defer func() { w.end(err) }()
	look := func() bool { return position(r.words.tail.Load()) != seen || r.words.items.closing() }
	for err == ErrEmpty {
		if err = w.until(look, func() bool { return look() || r.orphaned() }); err == nil {
			r.items.pace.Came(position(r.words.tail.Load()).since(seen))
			head, filled, seen, err = r.lookGet(ctx, wanted)
		}
	}
	return head, filled, err
}

// lookGet is steps 40 to 42: with the getting side locked it returns where to
// get, and how many units there are. Without the lock it returns ErrEmpty, and
// the tail that left nothing.
func (r *ring) lookGet(ctx context.Context, wanted uint32) (head position, filled uint32, seen position, err error) {
	w := r.words
	if w == nil {
		return 0, 0, 0, errDetached
	}
	for {
		probe.At(probe.Get40)
		if !w.get.TryLock() {
			if err := r.lock(ctx, &w.get, &w.room, probe.Get41); err != nil {
				return 0, 0, 0, err
			}
		}
		probe.At(probe.Get42)
		head = position(w.head.Load())
		filled = position(w.tailSeen).units() - head.units()
		var state uint32
		if filled < wanted {
			state = w.items.word.Load() // before tail: what is sealed now was empty then
			tail := position(w.tail.Load())
			w.tailSeen = uint64(tail)
			filled = tail.units() - head.units()
			seen = tail
		}
		if filled > r.units {
			w.get.Unlock()
			return 0, 0, 0, errPositions(head, position(w.tailSeen))
		}
		if filled > 0 {
			if check.Race {
				check.Acquire(&w.tail)
			}
			return head, filled, 0, nil
		}
		w.get.Unlock()
		switch again, err := r.ended(ctx, state); {
		case err != nil:
			return 0, 0, 0, err
		case !again:
			return 0, 0, seen, ErrEmpty
		}
	}
}

// commitGet is steps 44 to 46.
func (r *ring) commitGet(head position, items, units uint32) {
	w := r.words
	if r.counted {
		r.members.got(items) // before 44: the count may be too high for a moment, never too low
	}
	probe.At(probe.Get44)
	barrier.Commit(&w.head, uint64(head.plus(items, units)))
	probe.At(probe.Get45)
	if w.room.word.Load()&eventSleeper != 0 {
		w.room.wake(int(items) * r.wakes)
	}
	probe.At(probe.Get46)
	w.get.Unlock()
}

// take is steps 43 to 46 for one item: if read fails or panics, the item stays,
// and the wake that may have been consumed goes to another.
func (r *ring) take(head position, read func() (units uint32, err error)) error {
	got := false
	defer func() {
		if !got {
			r.words.items.passOn()
			r.words.get.Unlock()
		}
	}()
	probe.At(probe.Get43)
	units, err := read()
	if err != nil {
		return err
	}
	got = true
	r.commitGet(head, 1, units)
	return nil
}
