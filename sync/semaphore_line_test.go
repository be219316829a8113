package sync_test

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A request for everything is served although small ones come without end.
func TestLargeRequestIsServed(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, c *counter, s semaphore, kind string, file *os.File) {
		var stream []*proctest.Proc
		for range 3 {
			g := guest.Start(t, []*os.File{file})
			tell(t, g, "pass", kind, 1)
			stream = append(stream, g)
		}
		for range 20 {
			require.NoError(t, s.Acquire(t.Context(), 3))
			require.Zero(t, c.Inside.Load())
			require.NoError(t, s.Release(3))
		}
		c.Stop.Store(true)
		for _, g := range stream {
			g.Expect(t, "ok")
		}
	})
}

// Who waits for many is not overtaken by who wants few, and both get theirs.
func TestNewcomersStandInLine(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, c *counter, s semaphore, kind string, file *os.File) {
		require.True(t, s.TryAcquire(2))
		_, err := roster.Join()
		require.NoError(t, err)
		*giverOf(&c.Sem) = uint32(roster.Me()) // as if we had released before: else our name wakes the first
		large, small := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
		tell(t, large, "acquire", kind, 3)
		awaitTrueSleeper(t, large.Pid())
		require.False(t, s.TryAcquire(1), "one is free, but somebody waits")
		see(t, small, "try", kind, 1, "no")
		tell(t, small, "acquire", kind, 1)
		awaitTrueSleeper(t, small.Pid())
		require.NoError(t, s.Release(2))
		large.Expect(t, "ok")
		see(t, large, "release", kind, 3, "ok")
		small.Expect(t, "ok")
		require.Equal(t, 2, s.Value())
		require.NoError(t, s.Acquire(t.Context(), 2), "the line is open again at the latest after the next one")
	})
}

// The first in line gives up, and the next one gets what is there.
func TestFirstInLineGivesUp(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, _ *counter, s semaphore, kind string, file *os.File) {
		require.True(t, s.TryAcquire(2))
		large, small := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
		tell(t, large, "acquire", kind, 3)
		awaitTrueSleeper(t, large.Pid())
		tell(t, small, "acquire", kind, 1)
		awaitTrueSleeper(t, small.Pid())
		large.Tell(t, "cancel")
		large.Expect(t, "context canceled")
		small.Expect(t, "ok")
		require.Zero(t, s.Value())
	})
}

// Never more than 5 permits of 5 are wanted, not counting somebody who asks in
// vain for all of them again and again. So nobody else is refused.
func TestTryAcquireIsExact(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(5))
	holder := guest.Start(t, []*os.File{file})
	see(t, holder, "acquire", "bounded", 1, "ok")
	var guests []*proctest.Proc
	for i := range 3 {
		g := guest.Start(t, []*os.File{file})
		tell(t, g, "never-refused", "bounded", []int{1, 1, 2}[i])
		guests = append(guests, g)
	}
	for range 3000 {
		require.False(t, c.Bound.TryAcquire(5))
	}
	c.Stop.Store(true)
	for _, g := range guests {
		g.Expect(t, "ok")
	}
	require.Equal(t, 4, c.Bound.Value())
}

// A thousand goroutines wait, and cost few threads.
func TestSemaphoreCrowd(t *testing.T) {
	forSemaphores(t, 2, func(t *testing.T, c *counter, s semaphore, kind string, _ *os.File) {
		const goroutines = 1000
		require.NoError(t, s.Acquire(t.Context(), 2))
		before := threads(t)
		var group sync.WaitGroup
		var got atomic.Int64
		for range goroutines {
			group.Go(func() {
				if s.Acquire(t.Context(), 1) == nil {
					got.Add(1)
					_ = s.Release(1)
				}
			})
		}
		awaitTrueSleeper(t, os.Getpid())
		require.LessOrEqual(t, threads(t), before+10)
		require.NoError(t, s.Release(2))
		group.Wait()
		require.EqualValues(t, goroutines, got.Load())
		require.Equal(t, 2, s.Value())
	})
}

func BenchmarkSemaphore(b *testing.B) {
	var s psync.Semaphore
	require.NoError(b, s.Init(1, 1))
	for b.Loop() {
		_ = s.Acquire(b.Context(), 1)
		_ = s.Release(1)
	}
}

func BenchmarkBoundedSemaphore(b *testing.B) {
	for _, busy := range []int{1, 14, 61} {
		b.Run("cells="+strconv.Itoa(busy), func(b *testing.B) {
			var s psync.BoundedSemaphore
			require.NoError(b, s.Init(1))
			*topOf(&s) = uint32(busy)
			for b.Loop() {
				_ = s.Acquire(b.Context(), 1)
				_ = s.Release(1)
			}
		})
	}
}

// A buffered channel is Go's semaphore.
func BenchmarkStdSemaphore(b *testing.B) {
	s := make(chan struct{}, 1)
	for b.Loop() {
		s <- struct{}{}
		<-s
	}
}
