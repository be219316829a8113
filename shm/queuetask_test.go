package shm

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func testTasks(t testing.TB, capacity int) *Queue[int] {
	return testQueue[int](t, capacity, &QueueOptions{Tasks: true})
}

// joins returns a function that waits until all tasks are done.
func joins(q *Queue[int]) func() error {
	return func() error { return q.Join(context.Background()) }
}

func TestQueueJoin(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 5)
	require.NoError(t, q.Join(t.Context()), "nothing was put")
	p := hand(t, queuePuppet, q)
	for range 5 {
		putNow(t, q, 1, 2, 3)
		joined := sleepsIn(t, joins(q))
		p.Tell(t, "join")
		awaitQueueSleepers(t, p.Pid(), 1)
		require.Equal(t, 1, getNow(t, q))
		require.Equal(t, 2, getNow(t, q))
		q.Done(1)
		require.Equal(t, 3, getNow(t, q))
		q.Done(1)
		awaitQueueSleepers(t, os.Getpid(), 1)
		require.Empty(t, joined)
		require.Equal(t, context.Canceled, q.Join(expired()))
		q.Done(0)
		require.Equal(t, context.Canceled, q.Join(expired()))
		q.Done(1)
		require.NoError(t, <-joined)
		p.Expect(t, "ok")
		require.NoError(t, q.Join(expired()))
	}
}

// Each process counts its own items as done; Join waits for all.
func TestQueueJoinOfSeveralConsumers(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 5)
	a, b := hand(t, queuePuppet, q), hand(t, queuePuppet, q)
	putNow(t, q, 1, 2, 3)
	tellPuppet(t, a, "get", "1")
	tellPuppet(t, b, "get", "2")
	tellPuppet(t, a, "get", "3")
	joined := sleepsIn(t, joins(q))
	tellPuppet(t, a, "done 2", "ok")
	awaitQueueSleepers(t, os.Getpid(), 1)
	require.Equal(t, context.Canceled, q.Join(expired()))
	tellPuppet(t, b, "done 1", "ok")
	require.NoError(t, <-joined)
}

// What is put while Join waits, it waits for as well.
func TestQueueJoinWhileItemsMove(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 3)
	a, b := hand(t, queuePuppet, q), hand(t, queuePuppet, q)
	putNow(t, q, 0)
	joined := sleepsIn(t, joins(q))
	for i := range 200 {
		tellPuppet(t, a, fmt.Sprint("put ", i+1), "ok")
		tellPuppet(t, b, "get", fmt.Sprint(i))
		if i%3 > 0 {
			tellPuppet(t, b, "done 1", "ok")
		} else {
			tellPuppet(t, b, "put -1", "ok")
			require.Equal(t, i+1, getNow(t, q))
			tellPuppet(t, b, "done 1", "ok")
			require.Equal(t, -1, getNow(t, q))
			q.Done(1)
			tellPuppet(t, a, fmt.Sprint("put ", i+1), "ok")
			q.Done(1)
		}
		require.Empty(t, joined)
	}
	tellPuppet(t, b, "get", "200")
	require.Empty(t, joined)
	tellPuppet(t, b, "done 1", "ok")
	require.NoError(t, <-joined)
}

// What a consumer had in hand counts as done when it has gone, in whatever way.
func TestQueueJoinAfterConsumerHasGone(t *testing.T) {
	for name, goes := range goners {
		if name == "deregisters" || name == "is killed while it puts" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			q := testTasks(t, 5)
			p := hand(t, queuePuppet, q)
			putNow(t, q, 1, 2, 3)
			tellPuppet(t, p, "get", "1")
			tellPuppet(t, p, "get", "2")
			tellPuppet(t, p, "done 1", "ok")
			require.Equal(t, 3, getNow(t, q))
			q.Done(1)
			joined := sleepsIn(t, joins(q))
			goes(t, p)
			require.NoError(t, <-joined)
			require.NoError(t, q.Join(expired()))

			next := hand(t, queuePuppet, q) // takes the place of the one that has gone, not its debts
			require.NoError(t, q.Join(expired()))
			putNow(t, q, 4)
			tellPuppet(t, next, "get", "4")
			require.Equal(t, context.Canceled, q.Join(expired()))
			tellPuppet(t, next, "done 1", "ok")
			require.NoError(t, q.Join(expired()))
		})
	}
}

// An item that its consumer had not yet taken when it died is another one's task.
func TestQueueJoinAfterConsumerDiesInGet(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 5)
	p := hand(t, queuePuppet, q)
	putNow(t, q, 1)
	tellPuppet(t, p, "hold-get", "holding")
	joined := sleepsIn(t, joins(q))
	p.Kill(t)
	require.Equal(t, context.Canceled, q.Join(expired()))
	require.Empty(t, joined)
	require.Equal(t, 1, getNow(t, q))
	q.Done(1)
	require.NoError(t, <-joined)
}

func TestQueueTooManyDone(t *testing.T) {
	proctest.NoLeaks(t)
	panics := func(fn func(), why ...any) {
		t.Helper()
		require.EqualError(t, panicOf(t, fn), `shm: queue "int": done: more items than this process has got`, why...)
	}
	q := testTasks(t, 5)
	p := hand(t, queuePuppet, q)
	panics(func() { q.Done(1) })
	putNow(t, q, 1, 2, 3)
	tellPuppet(t, p, "get", "1")
	panics(func() { q.Done(1) }, "another process has got it")
	getNow(t, q)
	other := otherHandle(t, q)
	for _, n := range []int{2, -1, math.MinInt, 1<<32 + 1, math.MaxInt} {
		panics(func() { q.Done(n) })
	}
	other.Done(1) // the process has got it
	panics(func() { q.Done(1) })
	require.Equal(t, 1, q.Len(), "no harm was done")
	getNow(t, q)
	q.Done(1)
	tellPuppet(t, p, "done 1", "ok")
	require.NoError(t, q.Join(t.Context()))
}

func TestQueueWithoutTasks(t *testing.T) {
	q := testQueue[int](t, 1, nil)
	require.EqualError(t, panicOf(t, func() { q.Done(0) }), `shm: queue "int": done: the queue was made without Tasks`)
	require.EqualError(t, panicOf(t, func() { _ = q.Join(t.Context()) }), `shm: queue "int": join: the queue was made without Tasks`)
}

// Close has nothing to do with tasks.
func TestQueueJoinAfterClose(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 3)
	putNow(t, q, 1)
	joined := sleepsIn(t, joins(q))
	require.NoError(t, q.Close())
	require.Equal(t, context.Canceled, q.Join(expired()))
	getNow(t, q)
	q.Done(1)
	require.NoError(t, <-joined)
}

// Batches, items in place and records count as well.
func TestQueueTasksOfAllKinds(t *testing.T) {
	proctest.NoLeaks(t)
	q := testTasks(t, 5)
	putNow(t, q, 1, 2, 3)
	n, err := q.GetUpTo(t.Context(), make([]int, 2))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, errNot, q.GetFunc(t.Context(), func(*int) error { return errNot }))
	require.NoError(t, q.GetFunc(t.Context(), func(*int) error { return nil }))
	q.Done(2)
	require.Equal(t, context.Canceled, q.Join(expired()))
	q.Done(1)
	require.NoError(t, q.Join(expired()))

	r := testQueue[[]byte](t, 5, &QueueOptions{Tasks: true})
	putNow(t, r, []byte("a"), nil, []byte("c"))
	n, err = r.GetUpTo(t.Context(), make([][]byte, 2))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.NoError(t, GetBytesFunc(t.Context(), r, func([]byte) error { return nil }))
	require.EqualError(t, panicOf(t, func() { r.Done(4) }), `shm: queue "[]uint8": done: more items than this process has got`)
	r.Done(3)
	require.NoError(t, r.Join(expired()))
}
