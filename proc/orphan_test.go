package proc_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// announce calls, says which process it is, and blocks for good.
func announce(addr string) error {
	p, err := call(addr)
	if err == nil {
		_, err = p.converse(itoa(os.Getpid()))
	}
	return err
}

var child = proc.RegisterTask("child", func(_ context.Context, addr string) error { return announce(addr) })

// The parent-death signal is a matter of the main thread, so deaf stays on that.
func init() {
	if strings.Contains(os.Args[0], ": deaf (") {
		runtime.LockOSThread()
	}
}

// deaf is a child that has only its lifeline left.
var deaf = proc.RegisterTask("deaf", func(_ context.Context, addr string) error {
	if unix.Gettid() != os.Getpid() {
		return errors.New("not on the main thread")
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return err
	}
	return announce(addr)
})

var parent = proc.RegisterTask("parent", func(ctx context.Context, addr string) error {
	if _, err := child.Start(ctx, addr, nil); err != nil {
		return err
	}
	return announce(addr)
})

// kinds are what a clan is made of, and how many processes each is.
var kinds = map[string]struct {
	f *proc.Func[string, proc.None]
	n int
}{"child": {child, 1}, "deaf": {deaf, 1}, "parent": {parent, 2}}

// clan starts children of the kinds that are its arguments, and waits until it
// is told how to end.
var clan = proctest.Register("clan", func(h *proctest.Helper) error {
	for _, kind := range h.Args[1:] {
		if _, err := kinds[kind].f.Start(context.Background(), h.Args[0], nil); err != nil {
			return err
		}
	}
	h.Say("all started")
	switch line, err := h.Listen(); {
	case err != nil:
		return err
	case line == "panic":
		panic("an accident, on purpose")
	case line == "exec":
		return syscall.Exec("/bin/true", []string{"true"}, nil)
	}
	return nil
})

// found starts a clan and returns the processes in it.
func found(t *testing.T, members ...string) (*proctest.Proc, []int) {
	t.Helper()
	x := newExchange(t)
	p := clan.Start(t, nil, append([]string{x.addr}, members...)...)
	var pids []int
	for _, kind := range members {
		for range kinds[kind].n {
			pid := 0
			scan(x.answer(t).hear(t), "", &pid)
			pids = append(pids, pid)
		}
	}
	p.Expect(t, "all started")
	return p, pids
}

func TestParentKilled(t *testing.T) {
	for _, members := range []string{"child", "child child child", "deaf", "parent", "child deaf parent"} {
		t.Run(members, func(t *testing.T) {
			proctest.NoLeaks(t)
			p, pids := found(t, strings.Fields(members)...)
			w := watch(t, pids...)
			p.Kill(t)
			w.allEnd(t)
		})
	}
}

// A stopped process reads no lifeline.
func TestParentKilledWithStoppedChildren(t *testing.T) {
	for _, members := range []string{"child", "parent", "child parent"} {
		t.Run(members, func(t *testing.T) {
			proctest.NoLeaks(t)
			p, pids := found(t, strings.Fields(members)...)
			w := watch(t, pids...)
			for _, pid := range pids {
				require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
				awaitStopped(t, pid)
			}
			p.Kill(t)
			w.allEnd(t)
		})
	}
}

// awaitStopped is for processes that are not children.
func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		return err == nil && strings.Contains(string(stat), ") T ")
	}, patience, time.Millisecond)
}

// However the parent ends.
func TestParentEnds(t *testing.T) {
	for _, how := range []string{"return", "panic", "exec"} {
		t.Run(how, func(t *testing.T) {
			proctest.NoLeaks(t)
			p, pids := found(t, "child", "parent")
			w := watch(t, pids...)
			p.Tell(t, how)
			require.Equal(t, how == "panic", p.Wait(t) != nil)
			w.allEnd(t)
		})
	}
}

// A parent that stands still is no reason to end.
func TestParentStopped(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := quiz.Start(t, nil, x.addr)
	line := x.answer(t)
	p.Stop(t)
	line.say(t, "still there?")
	line.expect(t, "still there?")
	line.say(t, "end")
	p.Cont(t)
	require.NoError(t, p.Wait(t))
}

var quiz = proctest.Register("quiz", func(h *proctest.Helper) error {
	c, err := answerLines.Start(context.Background(), h.Args[0], nil)
	if err != nil {
		return err
	}
	return c.Join(context.Background())
})
