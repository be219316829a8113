package proc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// obedient says when it is up, and returns the error of its context.
var obedient = proc.RegisterTask("obedient", func(ctx context.Context, addr string) error {
	p, err := call(addr)
	if err != nil {
		return err
	}
	if err := p.tell("up"); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
})

// stubborn says that it is up, then that its context has ended, and goes on to
// repeat what it is told.
var stubborn = proc.RegisterTask("stubborn", func(ctx context.Context, addr string) error {
	p, err := call(addr)
	if err != nil {
		return err
	}
	if err := p.tell("up"); err != nil {
		return err
	}
	<-ctx.Done()
	for line := "asked to end"; err == nil; {
		line, err = p.converse(line)
	}
	return err
})

const never = time.Hour

// Python: _TestProcess.test_terminate
func TestTerminateObedient(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, obedient, x.addr, &proc.Options{Grace: never})
	x.answer(t).expect(t, "up")
	c.Terminate()
	err := c.Join(t.Context())
	require.Equal(t, -15, exitCode(t, c.Process))
	require.ErrorIs(t, err, context.Canceled, "what the function returned")
	c.Terminate() // does nothing
	c.Kill()      // does nothing
	require.Equal(t, -15, exitCode(t, c.Process))
}

// A function that returns nil was ended all the same.
func TestTerminateIdle(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, idle, struct{}{}, &proc.Options{Grace: never})
	c.Terminate()
	var exit *proc.ExitError
	require.ErrorAs(t, c.Join(t.Context()), &exit)
	require.Equal(t, -15, exit.Code)
	require.NoError(t, exit.Err)
}

// At whatever moment of its start a process is terminated, its code is that of
// SIGTERM.
func TestTerminateAtAnyMoment(t *testing.T) {
	proctest.NoLeaks(t)
	for i := range 20 {
		c := start(t, idle, struct{}{}, &proc.Options{Grace: never})
		select { // 0 to 4 ms, a process takes about that to come up
		case <-c.Done():
		case <-time.After(time.Duration(i) * 200 * time.Microsecond):
		}
		c.Terminate()
		require.Equal(t, -15, exitCode(t, c.Process))
	}
}

func TestTerminateStubborn(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, stubborn, x.addr, &proc.Options{Grace: 50 * time.Millisecond})
	p := x.answer(t)
	p.expect(t, "up")
	c.Terminate()
	p.expect(t, "asked to end")
	var exit *proc.ExitError
	require.ErrorAs(t, c.Join(t.Context()), &exit)
	require.Equal(t, -9, exit.Code)
}

// It neither kills nor begins a new period of grace.
func TestTerminateTwice(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, stubborn, x.addr, &proc.Options{Grace: never})
	p := x.answer(t)
	p.expect(t, "up")
	c.Terminate()
	p.expect(t, "asked to end")
	c.Terminate()
	p.say(t, "still there?")
	p.expect(t, "still there?")
	require.True(t, c.Alive())
	c.Kill()
	require.Equal(t, -9, exitCode(t, c.Process))
}

// The signal waits until a stopped process goes on; if it never does, it is
// killed.
func TestTerminateStopped(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, obedient, x.addr, &proc.Options{Grace: 50 * time.Millisecond})
	x.answer(t).expect(t, "up")
	stop(t, c.Pid())
	require.True(t, c.Alive(), "a stopped process is alive")
	c.Terminate()
	require.Equal(t, -9, exitCode(t, c.Process))
}

// stop suspends a child and waits until it stands.
func stop(t testing.TB, pid int) {
	t.Helper()
	require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		err = unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)
	}
	require.NoError(t, err)
}

// Python: _TestProcess.test_kill
func TestKill(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, obedient, x.addr, nil)
	x.answer(t).expect(t, "up")
	c.Kill()
	var exit *proc.ExitError
	require.ErrorAs(t, c.Join(t.Context()), &exit)
	require.Equal(t, -9, exit.Code)
	c.Kill() // does nothing
}

func TestKillStopped(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, obedient, x.addr, nil)
	x.answer(t).expect(t, "up")
	stop(t, c.Pid())
	c.Kill()
	require.Equal(t, -9, exitCode(t, c.Process))
}

// middle has a child of its own, which outlives its function.
var middle = proc.RegisterTask("middle", func(ctx context.Context, addr string) error {
	if _, err := stubborn.Start(context.Background(), addr, &proc.Options{Grace: never}); err != nil {
		return err
	}
	return obedientBody(ctx, addr)
})

func obedientBody(ctx context.Context, addr string) error {
	p, err := call(addr)
	if err != nil {
		return err
	}
	if err := p.tell("up " + itoa(proc.Children()[0].Pid())); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Python: _TestProcess.test_daemon_argument — differs: there is no flag; every child is ended with its parent
func TestDescendantsEndWithTheProcess(t *testing.T) {
	for name, end := range map[string]func(*proc.Process){"Terminate": (*proc.Process).Terminate, "Kill": (*proc.Process).Kill} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			x := newExchange(t)
			c := start(t, middle, x.addr, nil)
			grandchild := 0
			for range 2 { // in any order
				scan(x.answer(t).hear(t), "up ", &grandchild)
			}
			w := watch(t, grandchild)
			end(c.Process)
			<-c.Done()
			w.allEnd(t)
		})
	}
}
