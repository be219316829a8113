package sync_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Bad memory leads to an error or a panic that names the value, or is put right;
// never to a crash, nor to a wait that its context does not end.
func TestSemaphoreBadMemory(t *testing.T) {
	proctest.NoLeaks(t)
	const garbage = 1<<64 - 1 - 1<<33
	for _, spoil := range []func(c *counter){
		func(c *counter) { *stateOf(&c.Sem) = garbage },
		func(c *counter) { *stateOf(&c.Sem) = 1 << 31 }, // LINE, and nobody in it
		func(c *counter) { *stateOf(&c.Sem) = 1<<63 | 1<<31 | 7 },
		func(c *counter) { boundedWordsOf(&c.Bound).top = garbage & 0xffffffff },
		func(c *counter) { boundedWordsOf(&c.Bound).top = 0 },
		func(c *counter) { boundedWordsOf(&c.Bound).line = 7 },
		func(c *counter) { boundedWordsOf(&c.Bound).line = 2 },
		func(c *counter) { boundedWordsOf(&c.Bound).turn = 5 },
		func(c *counter) { boundedWordsOf(&c.Bound).cells[0] = garbage },
		func(c *counter) { boundedWordsOf(&c.Bound).cells[60] = garbage },
		func(c *counter) {
			boundedWordsOf(&c.Bound).cells[3] = 1<<32 | 1<<29 | 77
			boundedWordsOf(&c.Bound).top = 9
		},
	} {
		c, _ := stage[counter](t)
		c.init(t, 3)
		require.True(t, c.Bound.TryAcquire(1))
		require.NoError(t, c.Bound.Release(1))
		spoil(c)
		for _, kind := range semaphoreKinds {
			s := c.semaphore(kind)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if s.Acquire(ctx, 2) == nil {
				_ = s.Release(2)
			}
			cancel()
			if s.TryAcquire(1) {
				_ = s.Release(1)
			}
			_ = s.Release(1)
			require.GreaterOrEqual(t, s.Value(), 0)
		}
	}

	var b psync.BoundedSemaphore
	require.NoError(t, b.Init(3))
	boundedWordsOf(&b).limit = 70_000
	require.PanicsWithValue(t, "psync: bad memory: a bounded semaphore with a limit of 70000", func() { b.TryAcquire(1) })
}

// Every cell is some other process's. A newcomer waits until one is empty or its
// owner dead.
func TestBoundedSemaphoreTableFull(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(200))
	w := boundedWordsOf(&c.Bound)
	holder, waiter := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, holder, "acquire", "bounded", 1, "ok")
	for i := range w.cells {
		w.cells[i] = w.cells[0] // as if they were of many processes
	}
	w.top = uint32(len(w.cells))
	require.False(t, c.Bound.TryAcquire(1))
	tell(t, waiter, "acquire", "bounded", 1)
	awaitTrueSleeper(t, waiter.Pid())
	see(t, holder, "release", "bounded", 1, "ok")
	waiter.Expect(t, "ok")
	require.Equal(t, 200-61, c.Bound.Value())

	require.False(t, c.Bound.TryAcquire(1), "there are permits, but no cell")
	holder.Kill(t)
	require.True(t, c.Bound.TryAcquire(199))
	require.Zero(t, c.Bound.Value())
}

// An idle process's cell may be taken over. It claims another when it comes back.
func TestBoundedSemaphoreIdleCellIsTaken(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(200))
	w := boundedWordsOf(&c.Bound)
	idle, holder := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, idle, "acquire", "bounded", 1, "ok")
	see(t, idle, "release", "bounded", 1, "ok")
	see(t, holder, "acquire", "bounded", 1, "ok")
	for i := 2; i < len(w.cells); i++ {
		w.cells[i] = w.cells[1]
	}
	w.top = uint32(len(w.cells))
	require.True(t, c.Bound.TryAcquire(1), "the only empty cell")
	see(t, idle, "try", "bounded", 1, "no")
	see(t, idle, "release", "bounded", 1, "psync: Release(1) by a process that holds 0: too many permits")
	require.NoError(t, c.Bound.Release(1))
	see(t, idle, "acquire", "bounded", 1, "ok")
}
