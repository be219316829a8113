package shm

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// beginPut waits for room for one item of at least some units, and returns with
// the putting side locked: where to put, and how many units are free there. A
// need that depends on the place is given as a function, else it is one unit.
func (r *ring) beginPut(ctx context.Context, need func(tail position) uint32, wanted uint32) (tail position, free uint32, err error) {
	tail, free, seen, err := r.lookPut(ctx, need, wanted)
	if err != ErrFull || ctx == atOnce {
		return tail, free, err
	}
	return r.waitPut(ctx, need, wanted, seen)
}

// waitPut is beginPut for who has found the ring full.
func (r *ring) waitPut(ctx context.Context, need func(tail position) uint32, wanted uint32, seen position) (tail position, free uint32, err error) {
	err = ErrFull
	w := r.wait(ctx, &r.room)
	defer func() { w.end(err) }()
	look := func() bool { return position(r.words.head.Load()) != seen || r.words.items.closing() }
	for err == ErrFull {
		if err = w.until(look, look); err == nil {
			r.room.pace.Came(position(r.words.head.Load()).since(seen))
			tail, free, seen, err = r.lookPut(ctx, need, wanted)
		}
	}
	return tail, free, err
}

// lookPut is steps 30 to 32: with the putting side locked it returns where to
// put, and how many units are free there. It needs room for one more item of at
// least some units, and looks whether there are as many as are wanted. Without
// the lock it returns ErrFull, and the head that left no room.
func (r *ring) lookPut(ctx context.Context, need func(position) uint32, wanted uint32) (tail position, free uint32, seen position, err error) {
	w := r.words
	if w == nil {
		return 0, 0, 0, errDetached
	}
	probe.At(probe.Put30)
	if !w.put.TryLock() {
		if err := r.lock(ctx, &w.put, &w.items, probe.Put31); err != nil {
			return 0, 0, 0, err
		}
	}
	probe.At(probe.Put32)
	tail = position(w.tail.Load())
	head := position(w.headSeen)
	least := uint32(1)
	if need != nil {
		least = need(tail)
	}
	free = r.free(tail, head)
	if free < max(least, wanted) {
		head = position(w.head.Load())
		w.headSeen = uint64(head)
		free = r.free(tail, head)
	}
	switch {
	case w.items.closing():
		err = errClosed
	case tail.units()-head.units() > r.units || tail.items()-head.items() > r.limit:
		err = errPositions(head, tail)
	case free < least:
		err = ErrFull
	default:
		return tail, free, 0, nil
	}
	w.put.Unlock()
	return 0, 0, head, err
}

// free returns how many units can be put, none if there are as many items as may
// be.
func (r *ring) free(tail, head position) uint32 {
	items := tail.items() - head.items()
	if items >= r.limit {
		return 0
	}
	free := r.units - (tail.units() - head.units())
	if !r.records {
		free = min(free, r.limit-items)
	}
	return free
}

// commitPut is steps 34 to 36.
func (r *ring) commitPut(tail position, items, units uint32) {
	w := r.words
	if check.Race {
		check.Release(&w.tail)
	}
	probe.At(probe.Put34)
	barrier.Commit(&w.tail, uint64(tail.plus(items, units)))
	probe.At(probe.Put35)
	if w.items.word.Load()&eventSleeper != 0 {
		w.items.wake(int(items))
	}
	probe.At(probe.Put36)
	w.put.Unlock()
}

// fill is steps 33 to 36 for one item: if write fails or panics, nothing is put,
// and the wake that may have been consumed goes to another.
func (r *ring) fill(tail position, units uint32, write func() error) error {
	put := false
	defer func() {
		if !put {
			r.words.room.passOn()
			r.words.put.Unlock()
		}
	}()
	probe.At(probe.Put33)
	if err := write(); err != nil {
		return err
	}
	put = true
	r.commitPut(tail, 1, units)
	return nil
}
