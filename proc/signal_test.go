package proc_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// interrupted sends SIGINT to its own thread: a thread handles a signal that it
// sent itself before it goes on.
var interrupted = proc.Register("interrupted", func(ctx context.Context, _ struct{}) (string, error) {
	runtime.LockOSThread()
	for range 3 {
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGINT); err != nil {
			return "", err
		}
	}
	return "unharmed", ctx.Err()
})

func TestInterruptIsLeftToTheParent(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, "unharmed", result(t, interrupted, struct{}{}))
}

var startSleeper = proc.Register("start sleeper", func(_ context.Context, sig int) (int, error) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if err := cmd.Process.Signal(unix.Signal(sig)); err != nil {
		return 0, err
	}
	_ = cmd.Wait() // fails, as it was meant to
	return int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()), nil
})

// A program that a child starts can be interrupted: nothing is ignored.
func TestSignalsOfProgramsThatAChildStarts(t *testing.T) {
	proctest.NoLeaks(t)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		require.Equal(t, int(sig), result(t, startSleeper, int(sig)))
	}
}

// foreground is a program that ends on Ctrl-C as programs should: by the end of
// its context.
var foreground = proctest.Register("foreground", func(h *proctest.Helper) error {
	if err := unix.Setpgid(0, 0); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := obedient.Start(ctx, h.Args[0], &proc.Options{Grace: never})
	if err != nil {
		return err
	}
	h.Say(itoa(c.Pid()))
	if err := c.Join(context.Background()); !errors.Is(err, context.Canceled) {
		return err
	}
	code, _ := c.ExitCode()
	h.Say("code " + itoa(code))
	return nil
})

// The terminal sends SIGINT to parent and child; the parent decides.
func TestCtrlC(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := foreground.Start(t, nil, x.addr)
	x.answer(t).expect(t, "up")
	child := 0
	scan(p.Line(t), "", &child)
	w := watch(t, child)
	require.NoError(t, unix.Kill(-p.Pid(), unix.SIGINT))
	p.Expect(t, "code -15")
	require.NoError(t, p.Wait(t))
	w.allEnd(t)
}
