//go:build crash

package sync_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// glutton holds the lock, and then takes as much memory as it is told.
var glutton = proctest.Register("glutton", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	s.lock(h.Args[0]).Lock()
	h.Say("locked")
	order, err := h.Listen()
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(order)
	if err != nil {
		return err
	}
	if _, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE); err != nil {
		return err
	}
	h.Say("full")
	_, err = h.Listen()
	return err
})

const memoryLimit = 64 << 20

// The holder of a lock is killed by the kernel for want of memory: by its memory
// control group, where this user may make one; else as the kernel does it, by
// SIGKILL and taking its private memory away at once. Who waits for the lock is
// told, as of any death.
func TestHolderRunsOutOfMemory(t *testing.T) {
	how := ""
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, waiter *proctest.Proc) {
		group, refused := newMemoryGroup(t)
		victim := glutton.Start(t, []*os.File{file}, lock)
		victim.Expect(t, "locked")
		if group != nil {
			require.NoError(t, group.set("cgroup.procs", victim.Pid()))
		}
		waiter.Tell(t, "lock or learn")
		awaitTrueSleeper(t, waiter.Pid())
		victim.Tell(t, strconv.Itoa(4*memoryLimit))
		if group != nil {
			require.ErrorContains(t, victim.Wait(t), "signal: killed")
			require.EqualValues(t, 1, group.kills(t), "it was the group's limit")
			how = "killed by a memory control group"
		} else {
			victim.Expect(t, "full")
			releaseMemory(t, victim)
			how = "killed, and their memory taken away at once; no control group was permitted"
			t.Log(refused)
		}
		waiter.Expect(t, "died "+strconv.Itoa(victim.Pid()))
		do(t, waiter, "mark", "unlock")
		workload(t, s, file, lock)
	})
	proctest.Verified(t, "crash", "holders that run out of memory", "%d %s", len(lockNames), how)
}

// releaseMemory kills the process and takes its memory away before it has ended
// by itself, as the OOM killer does, if that comes in time.
func releaseMemory(t *testing.T, p *proctest.Proc) {
	t.Helper()
	pidfd, err := unix.PidfdOpen(p.Pid(), 0)
	require.NoError(t, err)
	require.NoError(t, p.Signal(unix.SIGKILL))
	_, _, errno := unix.Syscall(unix.SYS_PROCESS_MRELEASE, uintptr(pidfd), 0, 0)
	if errno != unix.ESRCH && errno != unix.EAGAIN { // too late, or not all at once
		require.Zero(t, errno, "process_mrelease, from Linux 5.15")
	}
	require.NoError(t, unix.Close(pidfd))
	p.Kill(t)
}

// A memoryGroup is a memory control group of the first or second kind.
type memoryGroup struct {
	directory string
	events    string // the file that counts the kills
}

// newMemoryGroup makes a group with the limit, below this process's own group or,
// where that may not have any, the nearest one above. It is removed at the end of
// the test. If there is none, the error says why.
func newMemoryGroup(t *testing.T) (_ *memoryGroup, refused error) {
	t.Helper()
	memberships, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	refused = errors.New("the kernel has none")
	for line := range strings.Lines(string(memberships)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, own, _ := strings.Cut(rest, ":")
		root, events, limits := "/sys/fs/cgroup", "memory.events", map[string]int{"memory.max": memoryLimit, "memory.swap.max": 0}
		switch controllers {
		case "":
		case "memory":
			root, events, limits = "/sys/fs/cgroup/memory", "memory.oom_control", map[string]int{"memory.limit_in_bytes": memoryLimit, "memory.swappiness": 0}
		default:
			continue
		}
		for above := own; ; above = filepath.Dir(above) {
			var g memoryGroup
			if g.directory, refused = os.MkdirTemp(filepath.Join(root, above), "multiproc-test-"); refused == nil {
				t.Cleanup(func() { g.remove(t) })
				g.events = events
				for name, value := range limits {
					refused = errors.Join(refused, g.set(name, value))
				}
			}
			if refused == nil {
				return &g, nil
			}
			if above == "/" {
				break
			}
		}
	}
	return nil, refused
}

// set writes one of the group's files. It makes none: where there is no control
// group, there must not seem to be one.
func (g *memoryGroup) set(name string, value int) error {
	f, err := os.OpenFile(filepath.Join(g.directory, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(value))
	return errors.Join(err, f.Close())
}

// kills returns how many processes of the group were killed for want of memory.
func (g *memoryGroup) kills(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.directory, g.events))
	require.NoError(t, err)
	_, count, found := strings.Cut(string(text), "oom_kill ")
	require.True(t, found, string(text))
	_, err = fmt.Sscan(count, &n)
	require.NoError(t, err)
	return n
}

// remove waits until the group's last process has left it.
func (g *memoryGroup) remove(t *testing.T) {
	t.Helper()
	err := unix.Rmdir(g.directory)
	for ; err == unix.EBUSY; err = unix.Rmdir(g.directory) {
		runtime.Gosched()
	}
	require.NoError(t, err)
}
