package proc_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// NewPool does not wait for an initialiser longer than its context lasts.
func TestInitialiserOutlivesTheContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no time")
	entered := make(chan player, 1)
	go func() {
		entered <- x.enter(t)
		cancel(why)
	}()
	_, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Grace: never, Init: puppet.With(cue{x.addr, 1})})
	require.ErrorIs(t, err, why)
	require.ErrorIs(t, err, proc.ErrPoolTerminated)
	player := <-entered
	player.say(t, "obey") // it is still there, and has its grace
	player.expect(t, "the process was asked to end")
	awaitChildren(t, 0)
}

// One that does not look at its context, or cannot, is killed.
func TestInitialiserIgnoresTheContext(t *testing.T) {
	for _, how := range []string{"hang", "stop"} {
		t.Run(how, func(t *testing.T) {
			proctest.NoLeaks(t)
			x := newExchange(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan *deathwatch, 1)
			go func() {
				defer cancel()
				player := x.enter(t)
				ended <- watch(t, player.pid)
				if how == "hang" {
					player.say(t, "hang")
				} else if err := unix.Kill(player.pid, unix.SIGSTOP); err != nil {
					t.Error(err)
				}
			}()
			_, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Grace: time.Millisecond, Init: puppet.With(cue{x.addr, 1})})
			require.ErrorIs(t, err, context.Canceled)
			(<-ended).allEnd(t)
		})
	}
}

// hangInit is an initialiser that hangs from its second time on.
var hangInit = proc.RegisterTask("hang in init", func(_ context.Context, a *shm.Array[int32]) error {
	if shm.Add(a, 0, 1) > 1 {
		<-make(chan int)
	}
	return nil
})

// mpire: worker_init_timeout
func TestInitTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	var init *proc.InitError
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Grace: time.Millisecond, InitTimeout: 30 * time.Millisecond, Init: hang.With(struct{}{})})
	require.ErrorAs(t, err, &init)
	require.ErrorIs(t, err, proc.ErrTaskTimeout)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Empty(t, proc.Children())

	// It is that of each worker: here, of the one that comes when another has died.
	runs := newArray(t, 0)
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Grace: time.Millisecond, InitTimeout: never, Init: hangInit.With(runs)})
	require.NoError(t, err)
	p.Overdue()
	works(t, p) // who is ready has no limit any more
	require.NoError(t, unix.Kill(proc.Children()[0].Pid(), unix.SIGKILL))
	f := square.Submit(t.Context(), p, 1)
	require.Eventually(t, func() bool { return runs.At(0) == 2 }, patience, time.Millisecond)
	p.Overdue()
	_, err = f.Get(t.Context())
	require.ErrorAs(t, err, &init)
	require.EqualError(t, err, "proc: the pool's initialiser hang in init has failed: the task took longer than it may: the limit is 1h0m0s")
	require.ErrorAs(t, p.Close(), &init)
	require.Empty(t, proc.Children())

	_, err = proc.NewPool(t.Context(), &proc.PoolOptions{InitTimeout: -1})
	require.EqualError(t, err, "proc: new pool: InitTimeout is -1ns: it must not be negative")
}

// failIfEnded fails if its context has ended.
var failIfEnded = proc.Register("fail if ended", func(ctx context.Context, n int) (int, error) { return n, ctx.Err() })

// The end of a worker by a signal from elsewhere is no reason to hurry its last function:
// nobody waits for it. The end of its pool is.
func TestContextOfExit(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Exit: failIfEnded.With(0)})
	works(t, p)
	c := childNamed(t, "Worker-0")
	require.NoError(t, unix.Kill(c.Pid(), unix.SIGTERM))
	<-c.Done()
	works(t, p)
	require.NoError(t, p.Close())

	x := newExchange(t)
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Grace: 20 * time.Millisecond, Exit: puppet.With(cue{x.addr, 3})})
	require.NoError(t, err)
	works(t, p)
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	last := x.enter(t)
	last.say(t, "obey")
	last.expect(t, "the process was asked to end")
	require.ErrorIs(t, <-closed, context.Canceled)
}

// endInInit is an initialiser: the second time a signal asks its process to end.
var endInInit = proc.RegisterTask("end in init", func(ctx context.Context, a *shm.Array[int32]) error {
	if shm.Add(a, 0, 1) == 2 {
		if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
	}
	return nil
})

// A worker that was asked to end begins no task.
func TestNoTaskAfterTheEnd(t *testing.T) {
	proctest.NoLeaks(t)
	runs := newArray(t, 0)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Init: endInInit.With(runs)})
	works(t, p)
	c := childNamed(t, "Worker-0")
	c.Kill()
	<-c.Done()
	got, err := failIfEnded.Submit(t.Context(), p, 3).Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, got)
	awaitRuns(t, runs, 3)
}
