package sync_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// halfKill makes a player a process that is dead to all who look, and of which
// threads still run until the test kills it: its keeper's thread has ended, and
// another sits in the kernel where a fence waits for it, as in a long write to a
// disk. It still carries out orders, as a late thread does.
func halfKill(t *testing.T, p *proctest.Proc) {
	t.Helper()
	p.Tell(t, "half die")
	var id roster.ID
	_, err := fmt.Sscan(p.Line(t), &id)
	require.NoError(t, err)
	require.NoError(t, joinRoster())
	for !uninterruptible(t, p.Pid()) {
		runtime.Gosched()
	}
	require.False(t, roster.Look(id).Alive)
	require.ErrorIs(t, roster.Fence(ended(), id), context.Canceled)
}

// halfDie is halfKill's part in the player.
func halfDie(h *proctest.Helper) {
	runtime.GOMAXPROCS(4) // one is lost with the thread
	go roster.OnKeeper(func() {
		// Through Syscall, so that the scheduler takes this thread for one that
		// sleeps in the kernel.
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	})
	for roster.Look(roster.Me()).Alive {
		runtime.Gosched()
	}
	h.Say(fmt.Sprint(uint32(roster.Me())))
	go stick()
}

// stick has a thread sit in the kernel in state D until its process is killed: who
// has started a child by vfork waits so for the child's end. This child has memory
// of its own, and ends with the thread.
func stick() {
	runtime.LockOSThread()
	parent := uintptr(os.Getpid())
	child, _, _ := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if child != 0 {
		return
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	if now, _, _ := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); now != parent { // it was killed before that
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// awaitAtFence returns when a process looks at the threads of one that is half dead.
func awaitAtFence(t *testing.T, p, dying *proctest.Proc) {
	t.Helper()
	threads := fmt.Sprintf("/proc/%d/task", dying.Pid())
	for {
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Pid()))
		require.NoError(t, err)
		for _, path := range paths {
			// What cannot be read has just been closed.
			if file, _ := os.Readlink(path); file == threads {
				return
			}
		}
		runtime.Gosched()
	}
}

// uninterruptible reports whether a thread of the process is in state D.
func uninterruptible(t *testing.T, pid int) bool {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	require.NoError(t, err)
	for _, path := range paths {
		// What cannot be read is a thread that has just ended.
		text, _ := os.ReadFile(path)
		if _, fields, _ := strings.Cut(string(text), ") "); strings.HasPrefix(fields, "D") {
			return true
		}
	}
	return false
}

// A process that replaces its program has died, although none of its threads was
// killed and it lives on under its pid. Who only asks at the fence, again and again,
// passes it at last as well.
func TestProcessThatHasBecomeAnother(t *testing.T) {
	t.Run("bounded", func(t *testing.T) {
		proctest.NoLeaks(t)
		c, file := stage[counter](t)
		c.init(t, 1)
		holder := guest.Start(t, []*os.File{file})
		see(t, holder, "acquire", "bounded", 1, "ok")
		holder.Tell(t, "exec")
		require.NoError(t, c.Bound.Acquire(t.Context(), 1))
		holder.Kill(t)
	})
	t.Run("group", func(t *testing.T) {
		proctest.NoLeaks(t)
		s, file := stage[groupScene](t)
		member := groupPlayer.Start(t, []*os.File{file})
		s.Group.Add(1)
		do(t, member, "claim 1")
		member.Tell(t, "exec")
		require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied)
		member.Kill(t)
	})
}
