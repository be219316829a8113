package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A task that obeys its context costs no worker.
func TestTimeoutObeyed(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, TaskTimeout: 30 * time.Millisecond, Grace: never, Retries: 2})
	f := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	player.say(t, "obey")
	player.expect(t, "proc: the task took longer than it may")
	_, err := f.Get(t.Context())
	require.ErrorIs(t, err, proc.ErrTaskTimeout)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualError(t, err, "proc: puppet: input 0: the task took longer than it may: the limit is 30ms")
	require.Equal(t, 1, taskError(t, err).Attempts, "it is not tried again")
	require.Equal(t, player.pid, proc.Children()[0].Pid())
	_, err = square.Submit(t.Context(), p, 1).Get(t.Context())
	require.NoError(t, err, "the next task has a context of its own")
	require.Equal(t, player.pid, proc.Children()[0].Pid())
}

// A task that comes to an end all the same has its result.
func TestTimeoutTooLate(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, TaskTimeout: time.Millisecond, Grace: never})
	f := puppet.Submit(t.Context(), p, cue{x.addr, 7})
	x.enter(t).say(t, "finish")
	got, err := f.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 49, got)
}

// One that does not obey, or cannot, is killed with its worker, alone.
func TestTimeoutNotObeyed(t *testing.T) {
	for _, how := range []string{"hang", "stop", "burn"} {
		t.Run(how, func(t *testing.T) {
			proctest.NoLeaks(t)
			x := newExchange(t)
			p := newPool(t, &proc.PoolOptions{Grace: 20 * time.Millisecond})
			done := make(chan error)
			go func() {
				out, err := mixed.Map(t.Context(), p, []cue{{"", 0}, {x.addr, 1}, {"", 2}, {"", 3}, {"", 4}, {"", 5}}, &proc.MapOptions{Chunk: 3, KeepGoing: true, Timeout: 300 * time.Millisecond})
				for i, got := range out {
					if i != 1 && got != i {
						err = errors.Join(err, fmt.Errorf("result %d is %d", i, got))
					}
				}
				done <- err
			}()
			player := x.enter(t)
			if how == "stop" {
				require.NoError(t, unix.Kill(player.pid, unix.SIGSTOP))
			} else {
				player.say(t, how)
			}
			w := watch(t, player.pid)
			var failed proc.TaskErrors
			require.ErrorAs(t, <-done, &failed)
			require.Len(t, failed, 1)
			require.Equal(t, 1, failed[0].Index)
			require.ErrorIs(t, failed, proc.ErrTaskTimeout)
			w.allEnd(t)
			works(t, p)
		})
	}
}

// mixed is a puppet for the input that has an address.
var mixed = proc.Register("mixed", func(ctx context.Context, c cue) (int, error) {
	if c.Addr == "" {
		return c.N, nil
	}
	p, err := call(c.Addr)
	if err != nil {
		return 0, err
	}
	line, err := p.converse(fmt.Sprintf("%d %d", c.N, os.Getpid()))
	if err != nil {
		return 0, err
	}
	if line == "hang" {
		<-make(chan int)
	}
	for n := 0; ; {
		n++
	}
})

// A task in front of it whose result goes beside the slot, and may come later
// than the verdict.
func TestTimeoutBehindLargeResult(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: time.Nanosecond})
	for range 10 {
		out, err := bulky.Map(t.Context(), p, []int{1 << 20, 0, 1 << 20}, &proc.MapOptions{Chunk: 3, KeepGoing: true, Timeout: 50 * time.Millisecond})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, failed.At(1), proc.ErrTaskTimeout)
		for i, one := range out {
			require.Equal(t, failed.At(i) == nil, len(one) == 1<<20, "a slow machine may take long for the others")
		}
	}
}

// bulky hangs for want of size.
var bulky = proc.Register("bulky", func(_ context.Context, n int) ([]byte, error) {
	for turns := 0; n == 0; turns++ {
		runtime.KeepAlive(turns)
	}
	return make([]byte, n), nil
})

// The pool's limit holds, unless the call has one of its own, or none.
func TestTimeoutOfOneCall(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, TaskTimeout: time.Nanosecond, Grace: never})
	for what, o := range map[string]proc.MapOptions{"none": {Timeout: -1}, "longer": {Timeout: never}} {
		done := make(chan error)
		go func() {
			_, err := puppet.Map(t.Context(), p, x.cues(1), &o)
			done <- err
		}()
		player := x.enter(t)
		require.Equal(t, "pool of 1 workers (open, 1 calls)", p.String(), what)
		player.say(t, "return")
		require.NoError(t, <-done)
	}
}

// Several items of one chunk run into their limit: each has that for its outcome,
// though none is collected before the chunk is done.
func TestTimeoutsInOneChunk(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutSweeps(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: 50 * time.Millisecond})
	in := slices.Repeat([]fate{{Kind: "stalls"}}, 3)
	_, err := suffer.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 3, KeepGoing: true, Timeout: 5 * time.Millisecond})
	for i := range in {
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, failed.At(i), proc.ErrTaskTimeout)
	}
	require.NoError(t, p.Close())
}

// alive succeeds if nobody has cancelled it.
var alive = proc.Register("alive", func(ctx context.Context, n int) (int, error) { return n, ctx.Err() })

func TestCancelRunningTask(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: 20 * time.Millisecond})
	for _, how := range []string{"obey", "hang"} {
		f := puppet.Submit(t.Context(), p, cue{x.addr, 1})
		player := x.enter(t)
		player.say(t, how)
		f.Cancel()
		<-f.Done()
		_, err := f.Get(t.Context())
		require.ErrorIs(t, err, proc.ErrTaskCancelled)
		if how == "obey" {
			player.expect(t, "proc: the task was cancelled")
		}
		_, err = alive.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		if how == "obey" {
			require.Equal(t, player.pid, proc.Children()[0].Pid())
		} else {
			require.NotEqual(t, player.pid, proc.Children()[0].Pid())
		}
	}
}

// What was not begun never is.
func TestCancelWaitingTask(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	first := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting, bound := puppet.Submit(t.Context(), p, cue{x.addr, 2}), puppet.Submit(ctx, p, cue{x.addr, 3})
	waiting.Cancel()
	cancel()
	_, err := waiting.Get(t.Context())
	require.ErrorIs(t, err, proc.ErrTaskCancelled)
	_, err = bound.Get(t.Context())
	require.ErrorIs(t, err, context.Canceled)
	player.say(t, "return")
	got, err := first.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, got)
	first.Cancel() // it has its outcome
	got, err = first.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, got)
	works(t, p)
	x.nobody(t)
}

// nobody checks that no task calls that nobody wants.
func (x *exchange) nobody(t testing.TB) {
	t.Helper()
	c, err := x.listener.SyscallConn()
	require.NoError(t, err)
	callers := -1
	require.NoError(t, c.Control(func(fd uintptr) {
		callers, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	}))
	require.NoError(t, err)
	require.Zero(t, callers, "a task was begun that nobody wants")
}

// The context of Submit is the task's, also while it runs.
func TestContextOfSubmit(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("not needed")
	f := puppet.Submit(ctx, p, cue{x.addr, 1})
	player := x.enter(t)
	player.say(t, "obey")
	cancel(why)
	_, err := f.Get(t.Context())
	require.ErrorIs(t, err, why)
	player.expect(t, "proc: the task was cancelled")
	_, err = puppet.Submit(ctx, p, cue{x.addr, 2}).Get(t.Context())
	require.ErrorIs(t, err, why)
	works(t, p)
	x.nobody(t)
}

// Terminate does not wait for workers that wait for arguments.
func TestTerminateWhileArgumentsAreFetched(t *testing.T) {
	proctest.NoLeaks(t)
	in := make([][]byte, 50)
	for i := range in {
		in[i] = make([]byte, 64<<10)
	}
	for range 10 {
		p := newPool(t, &proc.PoolOptions{Grace: never})
		for r := range digest.MapUnordered(t.Context(), p, func(yield func([]byte) bool) {
			for _, b := range in {
				if !yield(b) {
					return
				}
			}
		}, nil) {
			require.NoError(t, r.Err)
			break
		}
		go func() { _, _ = digest.Map(t.Context(), p, in, nil) }()
		require.NoError(t, p.Terminate())
	}
	proc.WithHeadStart(t, 0)
	for range 10 { // while it has only just begun
		p := newPool(t, &proc.PoolOptions{Workers: 3, Grace: never, Init: readInit.With(in)})
		require.NoError(t, p.Terminate())
	}
}

var readInit = proc.RegisterTask("read at the start", func(context.Context, [][]byte) error { return nil })
