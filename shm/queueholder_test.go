package shm

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A holder that is slow, stopped, or dead, in the middle of a Get or Put: others
// wait with their contexts, who only tries is back soon, and the other side goes
// on.
func TestQueueBesideLockHolder(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	getter, putter := hand(t, queuePuppet, q), hand(t, queuePuppet, q)
	putNow(t, q, 1, 2)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	getsHeldUp := func() {
		t.Helper()
		for range 3 {
			_, err := q.TryGet()
			require.Equal(t, ErrEmpty, err)
		}
		_, err := q.Get(expired())
		require.Equal(t, context.Canceled, err)
		_, err = q.GetUpTo(soon(), make([]int, 3))
		require.Equal(t, context.DeadlineExceeded, err)
	}
	putsHeldUp := func() {
		t.Helper()
		for range 3 {
			require.Equal(t, ErrFull, q.TryPut(9))
		}
		require.Equal(t, context.Canceled, q.Put(expired(), 9))
		require.Equal(t, context.DeadlineExceeded, q.Put(soon(), 9))
		require.Equal(t, context.DeadlineExceeded, q.Register(soon()))
	}

	tellPuppet(t, getter, "hold-get", "holding")
	getsHeldUp()
	putNow(t, q, 3) // the putting side is free
	getter.Stop(t)
	getsHeldUp()
	putNow(t, q, 4)
	require.Equal(t, 4, q.Len())

	tellPuppet(t, putter, "hold-put 5", "holding")
	putsHeldUp()
	putter.Stop(t)
	putsHeldUp()
	require.NoError(t, q.Close(), "it never waits")
	getsHeldUp()

	// It was not put, and Close came before it.
	putter.Kill(t)
	require.ErrorIs(t, q.TryPut(9), ErrClosed)
	getter.Cont(t)
	tellPuppet(t, getter, "not now", "not now")
	for i := range 4 {
		require.Equal(t, i+1, getNow(t, q))
	}
	_, err := q.TryGet()
	require.ErrorIs(t, err, ErrClosed)
}

// The dead holder's lock is taken by who only tries as well.
func TestQueueTryAfterDeadHolder(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	for i := range 3 {
		for _, ctx := range []context.Context{atOnce, expired()} {
			putter := hand(t, queuePuppet, q)
			tellPuppet(t, putter, "hold-put 5", "holding")
			putter.Kill(t)
			require.NoError(t, q.Put(ctx, i))
			getter := hand(t, queuePuppet, q)
			tellPuppet(t, getter, "hold-get", "holding")
			getter.Kill(t)
			v, err := q.Get(ctx)
			require.NoError(t, err)
			require.Equal(t, i, v, "it was not taken")
		}
	}
}

// Those who wait for the lock give up with their context as well.
func TestQueueContextEndsWaitForLock(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 1, nil)
	p := hand(t, queuePuppet, q)
	tellPuppet(t, p, "hold-put 7", "holding")
	ctx, cancel := context.WithCancel(t.Context())
	put := sleepsIn(t, func() error { return q.Put(ctx, 1) })
	cancel()
	require.Equal(t, context.Canceled, <-put)
	tellPuppet(t, p, "go on", "ok")
	require.Equal(t, 7, getNow(t, q))
}
