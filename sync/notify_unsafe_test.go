package sync_test

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// From include/uapi/linux/seccomp.h.
const (
	newListener      = 1 << 3
	allThreads       = 1<<0 | 1<<4 // TSYNC, TSYNC_ESRCH
	notify           = 0x7fc00000
	notifyReceive    = 0xc0502100
	notifySend       = 0xc0182101
	notifyContinue   = 1
	firstArgument    = 16
	sharedFutexWake  = 1
	seccompArgument1 = firstArgument + 8
)

type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// notifyLockCalls makes the kernel report from now on each system call of this
// process that a lock makes: futex_waitv, and futex with FUTEX_WAKE on shared
// memory. (What the Go runtime does with futexes is private.) It returns the
// descriptor to which they are reported; until there is an answer, they wait.
func notifyLockCalls() (int, error) {
	const load, jumpIfEqual, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: jumpIfEqual, K: unix.SYS_FUTEX_WAITV, Jt: 3},
		{Code: jumpIfEqual, K: unix.SYS_FUTEX, Jf: 3},
		{Code: load, K: seccompArgument1},
		{Code: jumpIfEqual, K: sharedFutexWake, Jf: 1},
		{Code: ret, K: notify},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // the first call counts for its thread, the second spreads it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, newListener|allThreads, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// calls counts a helper's system calls on behalf of locks.
type calls struct{ waits, wakes atomic.Int64 }

// countCalls answers what the kernel reports to the helper's descriptor fd, until
// the helper ends.
func countCalls(t *testing.T, p *proctest.Proc, fd int) *calls {
	t.Helper()
	pidfd, err := unix.PidfdOpen(p.Pid(), 0)
	require.NoError(t, err)
	listener, err := unix.PidfdGetfd(pidfd, fd, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(pidfd))
	c, done := &calls{}, make(chan error)
	t.Cleanup(func() {
		p.Kill(t)
		require.NoError(t, <-done)
	})
	go func() {
		err := c.serve(listener)
		done <- errors.Join(err, os.NewSyscallError("close", unix.Close(listener)))
	}()
	return c
}

func (c *calls) serve(listener int) error {
	for {
		ready := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ready[0].Revents&unix.POLLHUP != 0 {
			return nil
		}
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), notifyReceive, uintptr(unsafe.Pointer(&n)))
		switch errno {
		case 0:
		case unix.EINTR, unix.ENOENT: // the caller was killed meanwhile
			continue
		default:
			return errno
		}
		if n.nr == unix.SYS_FUTEX_WAITV {
			c.waits.Add(1)
		} else {
			c.wakes.Add(1)
		}
		answer := response{id: n.id, flags: notifyContinue}
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), notifySend, uintptr(unsafe.Pointer(&answer)))
		if errno != 0 && errno != unix.ENOENT {
			return errno
		}
	}
}
