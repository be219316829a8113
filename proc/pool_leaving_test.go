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
		for n := range int32(4) { // more often than a pool that has no other worker bears
			require.NoError(t, unix.Kill(other(t, ready), unix.SIGTERM))
			awaitRuns(t, runs, 3+n) // it is replaced
		}
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

// childNamed waits for a child of this name.
func childNamed(t testing.TB, name string) (found *proc.Process) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, c := range proc.Children() {
			if c.Name() == name {
				found = c
			}
		}
		return found != nil
	}, patience, time.Millisecond)
	return found
}

// A worker that is let go between two processes, and wanted again at once: the next
// process is not the one that was let go.
func TestDismissalBetweenTwoProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 2, Grace: 20 * time.Millisecond})
	both := func(while func()) {
		f, g := puppet.Submit(t.Context(), p, cue{x.addr, 3}), puppet.Submit(t.Context(), p, cue{x.addr, 4})
		one, other := x.enter(t), x.enter(t)
		while()
		one.say(t, "return")
		other.say(t, "return")
		for _, f := range []*proc.Future[int]{f, g} {
			_, err := f.Get(t.Context())
			require.NoError(t, err)
		}
	}
	both(func() {})                          // they are ready
	for p.BackOff() < 300*time.Millisecond { // it goes on growing after that
		before := p.BackOff()
		c := childNamed(t, "Worker-1")
		c.Kill()
		<-c.Done()
		require.Eventually(t, func() bool { return p.BackOff() > before || before == 0 }, patience, time.Millisecond)
	}
	before := p.BackOff()
	require.NoError(t, p.Resize(1))
	require.NoError(t, p.Resize(2))
	both(func() {
		require.LessOrEqual(t, p.BackOff(), before, "a process has come and gone without having done anything")
	})
}
