package shm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// QueueOptions tune NewQueue. Nil means the defaults.
type QueueOptions struct {
	// Name is for people: it shows in /proc/PID/maps.
	//
	// The default is the item's type.
	Name string

	// Bytes is the room for items that do not have a fixed size: strings,
	// slices, whatever holds a pointer. It is rounded up to a power of two. The
	// biggest item fills half of it less 8 bytes.
	//
	// The default is 256 bytes for each item of the capacity, and at least 1 MiB.
	// Memory that is not used is not taken.
	Bytes int

	// Tasks counts the items that were got and not yet done: see Queue.Done and
	// Queue.Join.
	//
	// The default is false.
	Tasks bool
}

// A Queue is a first-in, first-out queue of items of type T, bounded, with any
// number of producers and consumers in up to 512 processes: Python's
// multiprocessing.Queue and JoinableQueue.
//
// Items without pointers lie in the queue as their bytes, others are encoded as
// arguments of processes are. There is no thread behind a queue: Put returns
// when the item is in shared memory, so a process can end at once after it, and
// its parent can join it whether anybody gets the item or not. Order is that of
// Put among all producers. A nil []byte is got as an empty one.
//
// Items that lie as their bytes are not looked at. A process that writes where it
// must not can make a bool that is neither true nor false: do not rely on those of
// processes that you do not trust.
//
// Any process may be killed at any instruction. An item that Put has committed
// is got exactly once; one that it has not never appears; nobody else waits. Where
// more than 126 others have the queue open, it may take 2 s until a death is seen.
// The item that a consumer had in hand dies with it. A process that is stopped
// in the middle of Put or Get holds up others, with their contexts, until it
// goes on; one that is stopped while it waits holds up nobody.
//
// A full queue that no consumer is left to empty holds up its producers: others
// may yet come. In a chain of processes, where each end is to notice that the
// other is gone, use pipes. Consumers notice it if producers register.
//
// Unlike Python's, and unlike Close of all else here, [Queue.Close] is for all
// processes. To give a queue up in one, Detach it.
//
// Methods may be called by any number of goroutines. A queue travels to other
// processes in arguments, results and messages, as *Queue.
type Queue[T any] struct {
	ring    ring
	slots   slots[T] // where items without pointers lie; nil for others
	records records  // where the others lie

	registrations atomic.Uint32
	cleanup       runtime.Cleanup
}

// NewQueue makes a queue for up to capacity items, 1 to 2^31. The caller should
// Detach it when it needs it no more; the memory is freed with its last user.
// Errors are of type [*Error]: ErrType for a type that cannot travel or holds
// shared objects (they travel over a connection: a queue has no way to pass
// their descriptors), ErrSize for a wrong capacity.
func NewQueue[T any](capacity int, o *QueueOptions) (_ *Queue[T], err error) {
	if o == nil {
		o = &QueueOptions{}
	}
	name := nameOr(o.Name, reflect.TypeFor[T]())
	defer wrap(&err, "queue", name, "create")
	e, err := ringEntry[T](kindQueue, ringData, capacity, o.Bytes)
	if err != nil {
		return nil, err
	}
	if o.Tasks {
		e.Mode |= modeCounted
	}
	m, err := create(name, int(e.Offset)-headerSize+int(e.Length*e.Element), e)
	if err != nil {
		return nil, err
	}
	q := new(Queue[T])
	if err := q.open(m, 0, e); err != nil {
		_ = m.release() // the error at hand says more
		return nil, err
	}
	q.cleanup = watchForgotten(q, m)
	return q, nil
}

// open makes q the queue that e describes in m.
func (q *Queue[T]) open(m *mapping, index int, e entry) error {
	if err := q.ring.open(m, index, e); err != nil {
		return err
	}
	data := m.data[e.Offset:][:e.Length*e.Element]
	if e.Mode&modeRecords == 0 {
		q.slots = viewOf[T](data, int(e.Length))
	} else {
		q.records = records{data, uint32(e.Length)}
	}
	return nil
}

// fail names the queue in an error.
func (q *Queue[T]) fail(op string, err error) error { return failed("queue", q.ring.name, op, err) }

// Put puts v at the end of the queue, and waits for room if there is none. It
// returns the context's error, one that matches ErrClosed if the queue was
// closed, or ErrSize for an item that is too big for the queue. After an error
// v was not put. With a context that has already ended it puts v if that is
// possible at once.
//
// There is no queue of those who wait for room. An item that is encoded needs
// room in one piece, and smaller ones of other producers that find room first go
// in first, as long as they come: give the queue Bytes for several of the
// largest.
//
// Put and Get copy an item twice each, as all calls by value do. What is larger
// than a few KiB is better written and read in its place, by PutFunc and GetFunc.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	if q.slots == nil {
		return q.putRecord(ctx, v)
	}
	tail, _, err := q.ring.beginPut(ctx, nil, 1)
	if err != nil {
		return q.fail("put", err)
	}
	probe.At(probe.Put33)
	*q.slots.at(tail) = v
	q.ring.commitPut(tail, 1, 1)
	return nil
}

// TryPut puts v if there is room, and does not wait for it. Else it returns
// ErrFull, also if somebody keeps the queue for more than 10 ms: a process that is
// stopped in the middle of a Put, or a PutFunc whose function takes longer.
func (q *Queue[T]) TryPut(v T) error { return try(q.Put(atOnce, v), ErrFull) }

// PutAll puts the items in order, as many at a time as there is room for, which
// is much faster than one by one. If several producers do so, their items may
// alternate. It returns how many were put; if not all, with an error as Put.
func (q *Queue[T]) PutAll(ctx context.Context, items []T) (n int, err error) {
	if q.slots == nil {
		return putEach(ctx, items, q.putRecord)
	}
	for n < len(items) {
		wanted := uint32(min(len(items)-n, len(q.slots)))
		tail, free, err := q.ring.beginPut(ctx, nil, wanted)
		if err != nil {
			return n, q.fail("put", err)
		}
		k := min(wanted, free)
		probe.At(probe.Put33)
		q.slots.put(tail, items[n:n+int(k)])
		q.ring.commitPut(tail, k, k)
		n += int(k)
	}
	return n, nil
}

// Get takes the first item, and waits for one if there is none. It returns the
// context's error, or one that matches ErrClosed when the queue is closed and
// empty. An item that arrived damaged is gone, with an error that says so.
func (q *Queue[T]) Get(ctx context.Context) (v T, err error) {
	err = q.getInto(ctx, &v)
	return v, err
}

// getInto is Get, kept apart so that Get inlines: that saves a copy.
func (q *Queue[T]) getInto(ctx context.Context, v *T) (err error) {
	if q.slots == nil {
		*v, err = q.getRecord(ctx)
		return err
	}
	head, _, err := q.ring.beginGet(ctx, 1)
	if err != nil {
		return q.fail("get", err)
	}
	probe.At(probe.Get43)
	*v = *q.slots.at(head)
	q.ring.commitGet(head, 1, 1)
	return nil
}

// TryGet takes the first item if there is one. Else it returns ErrEmpty, also if
// somebody keeps the queue for more than 10 ms: a process that is stopped in the
// middle of a Get, or a GetFunc whose function takes longer.
func (q *Queue[T]) TryGet() (T, error) {
	v, err := q.Get(atOnce)
	return v, try(err, ErrEmpty)
}

// GetUpTo waits until there is an item, and takes those that it finds, as many as
// fit into items. It returns how many; none with an error as of Get, except that
// behind some items there may be one that arrived damaged, and is gone.
func (q *Queue[T]) GetUpTo(ctx context.Context, items []T) (n int, err error) {
	if len(items) == 0 {
		return 0, nil
	}
	if q.slots == nil {
		return getEach(ctx, items, q.getData, q.decode)
	}
	wanted := uint32(min(len(items), len(q.slots)))
	head, filled, err := q.ring.beginGet(ctx, wanted)
	if err != nil {
		return 0, q.fail("get", err)
	}
	k := min(wanted, filled)
	probe.At(probe.Get43)
	q.slots.get(head, items[:k])
	q.ring.commitGet(head, k, k)
	return int(k), nil
}

// All takes the items one after the other, until the queue is closed and empty.
// Another error of Get is yielded, with a zero item, and is the last.
func (q *Queue[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := q.Get(ctx)
			if errors.Is(err, errClosed) || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Len returns how many items are in the queue. The answer may be out of date
// when it arrives.
func (q *Queue[T]) Len() int {
	if q.ring.words == nil {
		return 0
	}
	return q.ring.len()
}

// Cap returns how many items the queue can hold. It may be full earlier if the
// items are encoded and take up all bytes.
func (q *Queue[T]) Cap() int { return int(q.ring.limit) }

// Close ends the queue, for all processes: Put fails from now on, Get takes what
// is left, and then fails, both with an error that matches ErrClosed. It never
// waits. Closing again does nothing. The memory stays: see Detach.
func (q *Queue[T]) Close() error {
	if q.ring.words == nil {
		return q.fail("close", errDetached)
	}
	q.ring.close()
	return nil
}

// Detach gives the queue up in this process, without closing it for others. No
// method may be running or be called any more, nor may anybody here wait for the
// queue. The memory is freed when no process has the queue any more. Processes
// detach by ending.
func (q *Queue[T]) Detach() error {
	q.cleanup.Stop()
	return q.fail("detach", q.ring.detach(q.registrations.Load()))
}

// String describes the queue.
func (q *Queue[T]) String() string {
	if q.ring.words == nil {
		return fmt.Sprintf("shm.Queue[%v](detached)", reflect.TypeFor[T]())
	}
	return fmt.Sprintf("shm.Queue[%v](%d of %d)", reflect.TypeFor[T](), q.Len(), q.Cap())
}

// Await is for waiting for several things at once, as package proc does: a queue
// is ready when Get would not wait.
func (q *Queue[T]) Await(list *await.List) (ready bool) { return q.ring.await(list) }

// try turns the errors of an operation that was not to wait into one.
func try(err, instead error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return instead
	}
	return err
}
