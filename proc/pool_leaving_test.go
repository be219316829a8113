package proc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// lastInInit is an initialiser that, from its second time on, ends when it is asked to.
var lastInInit = proc.RegisterTask("last in init", func(ctx context.Context, a *shm.Array[int32]) error {
	if shm.Add(a, 0, 1) > 1 {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
})

// A worker that is not wanted any more, and still in its initialiser, is asked to end:
// its error is no failure of the pool.
func TestLeavingInTheInitialiser(t *testing.T) {
	inInit := func(t *testing.T, o *proc.PoolOptions, want int32) (*proc.Pool, *shm.Array[int32]) {
		t.Helper()
		proctest.NoLeaks(t)
		runs := newArray(t, 0)
		o.Grace, o.Init = 20*time.Millisecond, lastInInit.With(runs)
		p := newPool(t, o)
		if p.Workers() == 1 {
			require.NoError(t, p.Resize(2))
		}
		awaitRuns(t, runs, want)
		return p, runs
	}
	t.Run("after Resize", func(t *testing.T) {
		p, _ := inInit(t, &proc.PoolOptions{Workers: 1}, 2)
		require.NoError(t, p.Resize(1))
		awaitChildren(t, 1)
		works(t, p)
		require.NoError(t, p.Close())
	})
	t.Run("with an error of its own", func(t *testing.T) {
		proctest.NoLeaks(t)
		x := newExchange(t)
		go func() { x.enter(t).say(t, "return") }()
		p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: never, Init: puppet.With(cue{x.addr, 3})})
		require.NoError(t, p.Resize(2))
		second := x.enter(t)
		require.NoError(t, p.Resize(1))
		second.say(t, "fail")
		awaitChildren(t, 1)
		works(t, p)
		require.NoError(t, p.Close())
	})
	t.Run("at Close", func(t *testing.T) {
		p, _ := inInit(t, &proc.PoolOptions{Workers: 2}, 2)
		require.NoError(t, p.Close())
	})
	t.Run("by a signal from elsewhere", func(t *testing.T) {
		p, runs := inInit(t, &proc.PoolOptions{Workers: 2}, 2)
		ready, err := grab.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		require.NoError(t, unix.Kill(other(t, ready), unix.SIGTERM))
		awaitRuns(t, runs, 3) // it is replaced
		works(t, p)
		require.NoError(t, p.Close())
	})
}

// other returns the process id of another child.
func other(t testing.TB, pid int) int {
	t.Helper()
	for _, c := range proc.Children() {
		if c.Pid() != pid {
			return c.Pid()
		}
	}
	require.Fail(t, "there is no other child")
	return 0
}

// awaitRuns waits until an initialiser has been entered so often.
func awaitRuns(t testing.TB, runs *shm.Array[int32], n int32) {
	t.Helper()
	require.Eventually(t, func() bool { return runs.At(0) == n }, patience, time.Millisecond)
}
