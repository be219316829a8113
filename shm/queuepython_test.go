package shm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// The cases of CPython's test-suite about queues; see python_test.go. Where they
// wait for some time to pass, these wait for what is to happen.

// limited are the contexts of waits that end by themselves: at once, and later.
func limited(t testing.TB) (contexts []context.Context) {
	for _, d := range []time.Duration{-1, 0, time.Millisecond, 30 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		contexts = append(contexts, ctx)
	}
	return contexts
}

// Python: _TestQueue.test_put — differs: a context stands for the time-out, TryPut for block=False
func TestPythonQueuePut(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 6, nil)
	p := hand(t, queuePuppet, q)
	require.Zero(t, q.Len())

	require.NoError(t, q.Put(t.Context(), 1))
	require.NoError(t, q.Put(context.Background(), 2))
	for i, ctx := range limited(t)[:3] {
		require.NoError(t, q.Put(ctx, 3+i))
	}
	require.NoError(t, q.TryPut(6))
	require.Equal(t, q.Cap(), q.Len(), "there is no buffer in between: it is full at once")

	require.ErrorIs(t, q.TryPut(7), ErrFull)
	for _, ctx := range limited(t) {
		require.ErrorIs(t, q.Put(ctx, 7), context.DeadlineExceeded)
	}
	for i := range 6 {
		tellPuppet(t, p, "get", fmt.Sprint(i+1))
	}
	require.Zero(t, q.Len())
}

// Python: _TestQueue.test_get — differs: a context stands for the time-out, TryGet for block=False
func TestPythonQueueGet(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 100, nil)
	p := hand(t, queuePuppet, q)
	require.Zero(t, q.Len())
	for i := 2; i < 6; i++ {
		tellPuppet(t, p, fmt.Sprint("put ", i), "ok")
	}
	require.Equal(t, 4, q.Len())
	for i, ctx := range append([]context.Context{context.Background()}, limited(t)[:2]...) {
		v, err := q.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, 2+i, v)
	}
	require.Equal(t, 5, getNow(t, q))
	require.Zero(t, q.Len())

	_, err := q.TryGet()
	require.ErrorIs(t, err, ErrEmpty)
	for _, ctx := range limited(t) {
		_, err := q.Get(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

// Python: _TestQueue.test_qsize
func TestPythonQueueSize(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 10, nil)
	require.Equal(t, 0, q.Len())
	putNow(t, q, 1)
	require.Equal(t, 1, q.Len())
	putNow(t, q, 5)
	require.Equal(t, 2, q.Len())
	getNow(t, q)
	require.Equal(t, 1, q.Len())
	getNow(t, q)
	require.Equal(t, 0, q.Len())
}

var pythonWorker = proctest.Register("python queue worker", func(h *proctest.Helper) error {
	q, err := take[*Queue[int]](h)
	if err != nil {
		return err
	}
	for v, err := range q.All(context.Background()) {
		if err != nil {
			return err
		}
		h.Say(fmt.Sprint(v))
		if _, err := h.Listen(); err != nil {
			return err
		}
		q.Done(1)
	}
	return nil
})

// Python: _TestQueue.test_task_done — differs: Close ends the workers, where Python puts a None for each; they are told when to be done, they do not sleep
func TestPythonQueueTaskDone(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 100, &QueueOptions{Tasks: true})
	var workers []*proctest.Proc
	for i := range 4 {
		putNow(t, q, i)
		p := hand(t, pythonWorker, q)
		p.Expect(t, fmt.Sprint(i))
		workers = append(workers, p)
	}
	for i := 4; i < 10; i++ {
		putNow(t, q, i)
	}
	joined := background(func() error { return q.Join(t.Context()) })
	awaitSleeper(t, &q.ring.words.finished)
	for i := range 10 { // the one who is done gets the next
		require.Empty(t, joined, "item %d is not done", i)
		p := workers[i%4]
		p.Tell(t, "done")
		if i+4 < 10 {
			p.Expect(t, fmt.Sprint(i+4))
		}
	}
	require.NoError(t, outcome(t, joined))
	require.Zero(t, q.Len())
	require.NoError(t, q.Close())
	for _, p := range workers {
		require.NoError(t, p.Wait(t))
	}
}

// Python: _TestQueue.test_timeout — differs: a context stands for the time-out
func TestPythonQueueTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 1, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := q.Get(ctx)
	require.Equal(t, context.DeadlineExceeded, err)
	require.Error(t, ctx.Err(), "not before")
	putNow(t, q, 1)
	require.Equal(t, 1, getNow(t, q), "it left nothing behind")
}

// Python: _TestQueue.test_queue_feeder_donot_stop_onexc — differs: there is no feeder thread, Put itself says that the item cannot be encoded
func TestPythonQueueItemThatCannotBeEncoded(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[fragile](t, 1, nil)
	require.ErrorContains(t, q.Put(t.Context(), fragile{"cannot go"}), "it cannot go")
	require.NoError(t, q.Put(t.Context(), fragile{"good"}))
	require.Equal(t, 1, q.Len())
	require.Equal(t, fragile{"good"}, getNow(t, q))
	require.Zero(t, q.Len())
}

// Python: _TestQueue.test_closed_queue_empty_exceptions — differs: Close is for all processes and Detach for one; Len never fails, and Get of a closed queue gives what is left
func TestPythonClosedQueueIsEmpty(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tasks := range []bool{false, true} {
		unused := testQueue[string](t, 2, &QueueOptions{Tasks: tasks})
		require.NoError(t, unused.Close())
		require.Zero(t, unused.Len())

		used := testQueue[string](t, 2, &QueueOptions{Tasks: tasks})
		putNow(t, used, "foo")
		require.NoError(t, used.Close())
		require.Equal(t, 1, used.Len())
		require.Equal(t, "foo", getNow(t, used))
		_, err := used.TryGet()
		require.ErrorIs(t, err, ErrClosed)
	}
}

// Python: _TestQueue.test_closed_queue_put_get_exceptions
func TestPythonClosedQueuePutAndGet(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tasks := range []bool{false, true} {
		q := testQueue[string](t, 2, &QueueOptions{Tasks: tasks})
		require.NoError(t, q.Close())
		require.ErrorIs(t, q.Put(t.Context(), "foo"), ErrClosed)
		_, err := q.Get(t.Context())
		require.ErrorIs(t, err, ErrClosed)
	}
}

// Python: TestSimpleQueue.test_empty_exceptions — differs: an operation on a queue that was given up fails; Len alone says 0
func TestPythonSimpleQueueEmptyExceptions(t *testing.T) {
	q, err := NewQueue[bool](1, nil)
	require.NoError(t, err)
	require.NoError(t, q.Detach())
	_, err = q.TryGet()
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, q.Len())
}

// emptiness puts twice whether the queue is empty.
var emptiness = proctest.Register("queue emptiness", func(h *proctest.Helper) error {
	q, err := take[*Queue[bool]](h)
	if err != nil {
		return err
	}
	h.Ready()
	return errors.Join(q.Put(context.Background(), q.Len() == 0), q.Put(context.Background(), q.Len() == 0))
})

// Python: TestSimpleQueue.test_empty
func TestPythonSimpleQueueEmpty(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[bool](t, 10, nil)
	p := hand(t, emptiness, q)
	require.Zero(t, q.Len())
	proctest.Gate(t, p)
	require.NoError(t, p.Wait(t))
	require.NotZero(t, q.Len())
	require.True(t, getNow(t, q))
	require.False(t, getNow(t, q))
	require.Zero(t, q.Len())
}

// Python: TestSimpleQueue.test_close — differs: Close may be repeated; Detach, which gives up the memory, fails the second time
func TestPythonSimpleQueueClose(t *testing.T) {
	q, err := NewQueue[bool](1, nil)
	require.NoError(t, err)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	require.NoError(t, q.Detach())
	require.ErrorIs(t, q.Detach(), ErrClosed)
}

// Python: TestSimpleQueue.test_closed — differs: what must be gone is the mapping and its descriptor
func TestPythonSimpleQueueClosed(t *testing.T) {
	proctest.NoLeaks(t)
	q, err := NewQueue[bool](1, &QueueOptions{Name: "simple"})
	require.NoError(t, err)
	file := q.ring.mapping.file
	require.NoError(t, q.Detach())
	require.Zero(t, mapped(t, "simple"))
	require.ErrorIs(t, file.Close(), ErrClosed)
}
