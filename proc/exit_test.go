package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// leave ends its process in the way that it is told, the word and the number.
var leave = proc.Register("leave", func(ctx context.Context, how string) (string, error) {
	verb, arg, _ := strings.Cut(how, " ")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "exit":
		os.Exit(n)
	case "signal":
		if err := syscall.Kill(os.Getpid(), syscall.Signal(n)); err != nil {
			return "", err
		}
		<-ctx.Done()
	case "error":
		return "", errors.New("on purpose")
	case "panic":
		panic("on purpose")
	case "panic-elsewhere":
		go panic("on purpose")
		select {}
	case "goexit":
		runtime.Goexit()
	}
	return "returned", nil
})

// Python: _TestSubclassingProcess.test_sys_exit — differs: os.Exit takes numbers only
func TestExitCode(t *testing.T) {
	for how, want := range map[string]int{
		"return": 0, "error": 1, "panic": 2, "goexit": 2, "panic-elsewhere": 2,
		"exit 0": 0, "exit 1": 1, "exit 7": 7, "exit 255": 255, "exit 256": 0, "exit 300": 44, "exit -1": 255,
		"signal 9": -9, "signal 15": -15,
	} {
		t.Run(how, func(t *testing.T) {
			proctest.NoLeaks(t)
			c := start(t, leave, how, nil)
			require.Equal(t, want, exitCode(t, c.Process))
			require.Equal(t, how == "return" || how == "exit 0" || how == "exit 256", c.Join(t.Context()) == nil)
		})
	}
}

func TestExitError(t *testing.T) {
	proctest.NoLeaks(t)
	for how, text := range map[string]string{
		"exit 7":   "ended with status 7 before its function returned",
		"exit 0":   "ended with status 0 before its function returned",
		"signal 9": "was ended by signal 9 (killed)",
	} {
		c := start(t, leave, how, &proc.Options{Name: "quitter"})
		got, err := c.Result(t.Context())
		require.Empty(t, got)
		var exit *proc.ExitError
		require.ErrorAs(t, err, &exit, how)
		require.Equal(t, exitCode(t, c.Process), exit.Code)
		require.Equal(t, c.Pid(), exit.Pid)
		require.Equal(t, "quitter", exit.Name)
		require.NoError(t, exit.Err)
		require.EqualError(t, err, fmt.Sprintf("proc: quitter (pid %d) %s", c.Pid(), text))
	}
}

// Killed from outside, by whoever.
func TestSignalFromOutside(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, idle, struct{}{}, nil)
	require.NoError(t, syscall.Kill(c.Pid(), syscall.SIGKILL))
	require.Equal(t, -9, exitCode(t, c.Process))
}

// A signal through the process's own handle.
func TestSignal(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, obedient, x.addr, &proc.Options{Grace: never})
	x.answer(t).expect(t, "up")
	require.NoError(t, c.Signal(os.Interrupt), "which is left to the parent")
	require.NoError(t, c.Signal(syscall.SIGSTOP))
	awaitStopped(t, c.Pid())
	require.True(t, c.Alive())
	require.NoError(t, c.Signal(syscall.SIGCONT))
	require.EqualError(t, c.Signal(noSignal{}), "proc: signal "+c.Name()+": Godot is no signal of this system")
	require.NoError(t, c.Signal(syscall.SIGTERM))
	require.ErrorIs(t, c.Join(t.Context()), context.Canceled, "asked to end")
	require.Equal(t, -15, exitCode(t, c.Process))
	require.ErrorIs(t, c.Signal(syscall.SIGTERM), os.ErrProcessDone)
}

type noSignal struct{}

func (noSignal) Signal()        {}
func (noSignal) String() string { return "Godot" }

// neat wants no second SIGTERM while it cleans up.
var neat = proc.RegisterTask("neat", func(ctx context.Context, addr string) error {
	p, err := call(addr)
	if err == nil {
		err = p.tell("up")
	}
	<-ctx.Done()
	signal.Ignore(syscall.SIGTERM)
	return err
})

// A process that was asked to end ends by SIGTERM, ignored or not.
func TestIgnoredTerminate(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, neat, x.addr, nil)
	x.answer(t).expect(t, "up")
	require.NoError(t, c.Signal(syscall.SIGTERM))
	require.Equal(t, -15, exitCode(t, c.Process))
}

var answerAndDie = proc.Register("answer and die", func(ctx context.Context, addr string) (int, error) {
	p, err := call(addr)
	if err == nil {
		err = p.tell("ready")
	}
	<-ctx.Done()
	return 5, err
})

// A result counts even if the process does not end by itself.
func TestResultOfTerminated(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerAndDie, x.addr, nil)
	x.answer(t).expect(t, "ready")
	c.Terminate()
	got, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, got)
	var exit *proc.ExitError
	require.ErrorAs(t, c.Join(t.Context()), &exit)
	require.Equal(t, -15, exit.Code)
}
