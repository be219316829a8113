package shm

import (
	"context"
	"errors"
	"math"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// What methods panic with when they are misused.
var (
	errUnregistered = errors.New("it was not registered with")
	errUncounted    = errors.New("the queue was made without Tasks")
	errTooMany      = errors.New("more items than this process has got")
)

// Register counts this process as a producer, once more with each call. When
// all registered producers are gone - deregistered, detached or dead - and the
// queue is empty, it is closed: consumers do not wait for what nobody will put.
// It fails with an error that matches ErrClosed if the queue is closed already.
//
// If producers register themselves, the first may be gone before the second has
// come, and the queue is closed. So whoever starts them registers before that,
// and deregisters when all have registered or ended. Until a consumer has found
// the queue without producers and empty, Put goes on working.
func (q *Queue[T]) Register(ctx context.Context) error {
	r := &q.ring
	if r.words == nil {
		return q.fail("register", errDetached)
	}
	probe.At(probe.Register58)
	if err := r.lock(ctx, &r.words.put, &r.words.items, probe.Put31); err != nil {
		return q.fail("register", err)
	}
	defer r.words.put.Unlock()
	if r.words.items.closing() {
		return q.fail("register", errClosed)
	}
	r.members.register(1)
	r.words.registered.Store(1)
	q.registrations.Add(1)
	return nil
}

// Deregister takes back one Register. It panics if there was none.
func (q *Queue[T]) Deregister() {
	if q.ring.words == nil {
		panic(q.fail("deregister", errDetached))
	}
	for {
		n := q.registrations.Load()
		if n == 0 {
			panic(q.fail("deregister", errUnregistered))
		}
		if q.registrations.CompareAndSwap(n, n-1) {
			break
		}
	}
	probe.At(probe.Register58)
	q.ring.members.register(-1)
	q.ring.words.items.alarm(0) // it may have been the last
}

// Done says that n more of the items that this process has got are done with.
// The queue must have been made with Tasks. It panics if this process has not
// got so many.
func (q *Queue[T]) Done(n int) {
	if q.ring.words == nil {
		panic(q.fail("done", errDetached))
	}
	if !q.ring.counted {
		panic(q.fail("done", errUncounted))
	}
	if n < 0 || n > math.MaxUint32 || !q.ring.members.done(uint32(n)) {
		panic(q.fail("done", errTooMany))
	}
}

// Join waits until all items that were put have been got and are done with, or
// ctx ends. The queue must have been made with Tasks; otherwise Join panics.
// What a process had got and not done when it died, or detached its last use of
// the queue, counts as done: nobody waits for it.
func (q *Queue[T]) Join(ctx context.Context) (err error) {
	r := &q.ring
	if r.words == nil {
		return q.fail("join", errDetached)
	}
	if !r.counted {
		panic(q.fail("join", errUncounted))
	}
	w := r.wait(ctx, &r.finished)
	defer func() { w.end(err) }()
	for {
		n, err := r.unfinished(ctx)
		if n == 0 || err != nil {
			return q.fail("join", err)
		}
		if err := w.until(nil, func() bool { return r.estimate() == 0 }); err != nil {
			return q.fail("join", err)
		}
	}
}

// unfinished returns how many items are in the ring or in the hands of living
// members. Tail is read last: the count may be too high, never too low.
func (r *ring) unfinished(ctx context.Context) (uint32, error) {
	if err := r.lock(ctx, &r.words.get, &r.words.room, probe.Get41); err != nil {
		return 0, err
	}
	defer r.words.get.Unlock()
	return r.estimate(), nil
}

// estimate is unfinished without the lock. It is exact when nothing moves; so
// who announces itself first and then finds more than 0 will be woken by what
// makes it 0.
func (r *ring) estimate() uint32 {
	head := position(r.words.head.Load())
	n := r.members.underway()
	return n + position(r.words.tail.Load()).items() - head.items()
}
