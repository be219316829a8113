package sync_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A semaphore is what both kinds have in common.
type semaphore interface {
	Acquire(ctx context.Context, n int) error
	TryAcquire(n int) bool
	Release(n int) error
	Value() int
}

// A counter is the shared memory of tests of semaphores: one of each kind, and
// what they guard.
type counter struct {
	Sem    psync.Semaphore
	Bound  psync.BoundedSemaphore
	Inside atomic.Int64 // permits that are in use
	Most   atomic.Int64 // the most that ever were
	Passed atomic.Int64 // how often somebody went in
	Stop   atomic.Bool
}

var semaphoreKinds = []string{"semaphore", "bounded"}

func (c *counter) semaphore(kind string) semaphore {
	if kind == "bounded" {
		return &c.Bound
	}
	return &c.Sem
}

// init sets both semaphores up.
func (c *counter) init(t testing.TB, permits int) {
	t.Helper()
	require.NoError(t, c.Sem.Init(permits, permits))
	require.NoError(t, c.Bound.Init(permits))
}

// enter notes that n permits are in use.
func (c *counter) enter(n int) {
	now := c.Inside.Add(int64(n))
	for most := c.Most.Load(); now > most && !c.Most.CompareAndSwap(most, now); most = c.Most.Load() {
	}
}

func (c *counter) leave(n int) { c.Inside.Add(-int64(n)) }

// guest does with a semaphore what it is told: acquire KIND N, try KIND N,
// release KIND N, and some more.
var guest = proctest.Register("guest", play(func(ctx context.Context, c *counter, order string) string {
	var verb, kind string
	var n int
	if _, err := fmt.Sscan(order, &verb, &kind, &n); err != nil {
		return err.Error()
	}
	s := c.semaphore(kind)
	switch verb {
	case "acquire":
		return describe(s.Acquire(ctx, n))
	case "ended":
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return describe(s.Acquire(ctx, n))
	case "try":
		if !s.TryAcquire(n) {
			return "no"
		}
		return "ok"
	case "release":
		return describe(s.Release(n))
	case "pass": // in and out until somebody says stop
		for !c.Stop.Load() {
			if err := s.Acquire(ctx, n); err != nil {
				return describe(err)
			}
			c.enter(n)
			c.leave(n)
			c.Passed.Add(1)
			if err := s.Release(n); err != nil {
				return describe(err)
			}
		}
		return "ok"
	case "lose-keeper":
		go roster.OnKeeper(func() {
			_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // as halfDead does
		})
		return "ok"
	case "never-refused": // as many tries as there are, until somebody says stop
		for !c.Stop.Load() {
			if !s.TryAcquire(n) {
				return "refused"
			}
			if err := s.Release(n); err != nil {
				return describe(err)
			}
		}
		return "ok"
	}
	return "unknown order " + order
}))

// forSemaphores runs a test for each kind, with a counter of so many permits.
func forSemaphores(t *testing.T, permits int, test func(t *testing.T, c *counter, s semaphore, kind string, file *os.File)) {
	for _, kind := range semaphoreKinds {
		t.Run(kind, func(t *testing.T) {
			proctest.NoLeaks(t)
			c, file := stage[counter](t)
			c.init(t, permits)
			test(t, c, c.semaphore(kind), kind, file)
		})
	}
}

// tell has a guest begin something, without waiting for the outcome.
func tell(t testing.TB, p *proctest.Proc, verb, kind string, n int) {
	t.Helper()
	p.Tell(t, fmt.Sprintf("%s %s %d", verb, kind, n))
}

// see has a guest do something with the outcome want.
func see(t testing.TB, p *proctest.Proc, verb, kind string, n int, want string) {
	t.Helper()
	tell(t, p, verb, kind, n)
	p.Expect(t, want)
}

// Python: _TestSemaphore.test_semaphore — differs: a count that a release would overflow is an error
func TestSemaphore(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	s := &c.Sem
	require.Zero(t, s.Value())
	require.False(t, s.TryAcquire(1), "zero bytes are no permits")
	require.NoError(t, s.Init(2, 0))
	require.NoError(t, s.Init(2, 0), "as often as one likes")
	require.Equal(t, 2, s.Value())
	require.NoError(t, s.Acquire(t.Context(), 1))
	require.Equal(t, 1, s.Value())
	require.True(t, s.TryAcquire(1))
	require.False(t, s.TryAcquire(1))
	other := guest.Start(t, []*os.File{file})
	see(t, other, "try", "semaphore", 1, "no")
	see(t, other, "release", "semaphore", 3, "ok") // it has acquired none
	require.Equal(t, 3, s.Value(), "there is no largest number")
	require.NoError(t, s.Acquire(t.Context(), 3))
	require.NoError(t, s.Init(2, 0), "it is not filled again")
	require.Zero(t, s.Value())
	require.NoError(t, s.Release(psync.MaxPermits))
	require.ErrorIs(t, s.Release(1), psync.ErrTooMany)
	require.Equal(t, psync.MaxPermits, s.Value())
}

// Python: _TestSemaphore.test_bounded_semaphore — differs: a permit belongs to its process, and one too many is an error
func TestBoundedSemaphore(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	b := &c.Bound
	require.Zero(t, b.Limit())
	require.ErrorIs(t, b.Acquire(t.Context(), 1), psync.ErrTooMany, "zero bytes are no permits")
	require.NoError(t, b.Init(2))
	require.NoError(t, b.Init(2), "as often as one likes")
	require.Equal(t, 2, b.Limit())
	require.ErrorIs(t, b.Release(1), psync.ErrTooMany)
	require.NoError(t, b.Acquire(t.Context(), 1))
	require.Equal(t, 1, b.Value())

	other := guest.Start(t, []*os.File{file})
	tooMany := "psync: Release(1) by a process that holds "
	see(t, other, "release", "bounded", 1, tooMany+"0: too many permits")
	see(t, other, "try", "bounded", 1, "ok")
	see(t, other, "try", "bounded", 1, "no")
	require.False(t, b.TryAcquire(1))
	require.EqualError(t, b.Release(2), "psync: Release(2) by a process that holds 1: too many permits")
	see(t, other, "release", "bounded", 1, "ok")
	see(t, other, "release", "bounded", 1, tooMany+"0: too many permits")
	require.NoError(t, b.Release(1))
	require.ErrorIs(t, b.Release(1), psync.ErrTooMany)
	require.Equal(t, 2, b.Value())
}

// Python: _TestSemaphore.test_timeout
func TestSemaphoreTimeout(t *testing.T) {
	forSemaphores(t, 1, func(t *testing.T, _ *counter, s semaphore, kind string, file *os.File) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Acquire(ended, 1), "a free permit is taken even so")
		require.ErrorIs(t, s.Acquire(ended, 1), context.Canceled)
		require.False(t, s.TryAcquire(1))
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.Acquire(short, 1), context.DeadlineExceeded)

		waiter := guest.Start(t, []*os.File{file})
		tell(t, waiter, "acquire", kind, 1)
		awaitTrueSleeper(t, waiter.Pid())
		require.False(t, s.TryAcquire(1))
		waiter.Tell(t, "cancel")
		waiter.Expect(t, "context canceled")
		require.NoError(t, s.Release(1))
		require.True(t, s.TryAcquire(1), "nobody is in line any more")
		see(t, waiter, "ended", kind, 1, "context canceled")
		require.NoError(t, s.Release(1))
	})
}

func TestSemaphoreMisuse(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, _ *counter, s semaphore, _ string, _ *os.File) {
		require.PanicsWithValue(t, "psync: Acquire(-1): a number of permits is not negative", func() { _ = s.Acquire(t.Context(), -1) })
		require.Panics(t, func() { s.TryAcquire(-1) })
		require.PanicsWithValue(t, "psync: Release(-1): a number of permits is not negative", func() { _ = s.Release(-1) })
		require.ErrorIs(t, s.Acquire(t.Context(), 4), psync.ErrTooMany, "an error instead of an eternal wait")
		require.False(t, s.TryAcquire(4))
		require.ErrorIs(t, s.Release(1), psync.ErrTooMany)
		require.NoError(t, s.Acquire(t.Context(), 3))
		require.NoError(t, s.Acquire(t.Context(), 0), "nothing is always there")
		require.True(t, s.TryAcquire(0))
		require.NoError(t, s.Release(0))
		require.ErrorIs(t, s.Release(1<<40), psync.ErrTooMany)
		require.ErrorIs(t, s.Release(4), psync.ErrTooMany)
		require.Zero(t, s.Value())
		require.NoError(t, s.Release(3))
		require.Equal(t, 3, s.Value())
	})
}

func TestSemaphoreInit(t *testing.T) {
	var s psync.Semaphore
	require.Error(t, s.Init(-1, 0))
	require.Error(t, s.Init(1, -1))
	require.Error(t, s.Init(3, 2))
	require.Error(t, s.Init(0, 1<<40))
	require.NoError(t, s.Init(0, 2))
	require.NoError(t, s.Release(2))
	require.ErrorIs(t, s.Release(1), psync.ErrTooMany)
	require.EqualError(t, s.Init(1, 2), "psync: the semaphore was set up with 0 permits, not 1")
	require.EqualError(t, s.Init(0, 3), "psync: the semaphore was set up for at most 2 permits, not 3")
	var used psync.Semaphore
	require.NoError(t, used.Release(1))
	require.EqualError(t, used.Init(1, 2), "psync: the semaphore has been in use before Init, which found permits in it: 1")

	var b psync.BoundedSemaphore
	require.EqualError(t, b.Acquire(t.Context(), 1), "psync: Acquire(1) on a bounded semaphore before its Init: too many permits")
	require.NoError(t, b.Acquire(t.Context(), 0))
	for _, limit := range []int{-1, 0, 1 << 16} {
		require.EqualError(t, b.Init(limit), fmt.Sprintf("psync: a bounded semaphore has 1 to 65535 permits, not %d", limit))
	}
	require.NoError(t, b.Init(1<<16-1))
	require.EqualError(t, b.Init(2), "psync: the bounded semaphore was set up with 65535 permits, not 2")
	require.True(t, b.TryAcquire(1<<16-1))
	require.False(t, b.TryAcquire(1))
	require.NoError(t, b.Release(1<<16-1))
}

// Who comes before Init waits for what it puts in, and is told if that can never
// be enough. That somebody has stood in line does not keep Init out.
func TestSemaphoreWaitsForInit(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	few, many := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	tell(t, many, "acquire", "semaphore", 4)
	awaitTrueSleeper(t, many.Pid())
	tell(t, few, "acquire", "semaphore", 1)
	require.NoError(t, c.Sem.Init(2, 3))
	many.Expect(t, "psync: Acquire(4) from a semaphore of at most 3 permits: too many permits")
	few.Expect(t, "ok")
	require.Equal(t, 1, c.Sem.Value())
}

// Processes go in and out, with requests that exclude each other or do not. At no
// moment are more permits in use than there are, and none is lost.
func TestSemaphoreInParallel(t *testing.T) {
	for _, requests := range [][]int{{2, 2, 2}, {1, 1, 2, 3}} {
		forSemaphores(t, 3, func(t *testing.T, c *counter, s semaphore, kind string, file *os.File) {
			guests := make([]*proctest.Proc, len(requests))
			for i, n := range requests {
				guests[i] = guest.Start(t, []*os.File{file})
				tell(t, guests[i], "pass", kind, n)
			}
			for c.Passed.Load() < 10_000 {
				runtime.Gosched()
			}
			c.Stop.Store(true)
			for _, g := range guests {
				g.Expect(t, "ok")
			}
			require.LessOrEqual(t, c.Most.Load(), int64(3))
			require.Equal(t, 3, s.Value())
			require.True(t, s.TryAcquire(3))
			require.NoError(t, s.Release(3))
		})
	}
}

// What one permit guards is ordered by it: the race detector agrees.
func TestSemaphoreOrdersMemory(t *testing.T) {
	forSemaphores(t, 1, func(t *testing.T, _ *counter, s semaphore, _ string, _ *os.File) {
		n, group := new(int), sync.WaitGroup{}
		for range 4 {
			group.Go(func() {
				for i := range 200 {
					if i%2 == 0 && s.TryAcquire(1) || s.Acquire(t.Context(), 1) == nil {
						*n++
						_ = s.Release(1)
					}
				}
			})
		}
		group.Wait()
		require.Equal(t, 800, *n)
	})
}
