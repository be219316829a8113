package inherit_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/inherit"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

const variable = "MULTIPROC_CHILD"

func TestMain(m *testing.M) {
	// The race detector makes every process wait a second before it ends.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	proctest.Main(m)
}

// What the package left to those that are initialised after it.
var (
	_, present = os.LookupEnv(variable)
	states     = []string{state(3), state(4), state(5), state(6)}
)

func state(fd int) string {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	switch {
	case err != nil:
		return "closed"
	case flags&unix.FD_CLOEXEC != 0:
		return "close-on-exec"
	}
	return "open"
}

// witness tells what its package-level variables saw.
var witness = proctest.Register("witness", func(h *proctest.Helper) error {
	h.Say(fmt.Sprintf("child %v, variable %v, descriptors %v", inherit.Get() != nil, present, states[:len(h.Files)]))
	if in := inherit.Get(); in != nil {
		h.Say(fmt.Sprintf("%+v", *in))
	}
	return nil
})

// pair returns two connected sockets, made by this process.
func pair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	return file(t, fds[0]), file(t, fds[1])
}

func file(t *testing.T, fd int) *os.File {
	t.Helper()
	f := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func null(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestNoVariable(t *testing.T) {
	proctest.NoLeaks(t)
	require.Nil(t, inherit.Get())
	p := witness.Start(t, nil)
	p.Expect(t, "child false, variable false, descriptors []")
	require.NoError(t, p.Wait(t))
}

// What a parent hands down is believed, marked, and all that there is.
func TestChild(t *testing.T) {
	proctest.NoLeaks(t)
	_, theirs := pair(t)
	in := inherit.Inherited{Control: 4, Roster: 6}
	require.Equal(t, variable+"=4,6", inherit.Environ(in))
	t.Setenv(variable, "4,6")
	p := witness.Start(t, []*os.File{null(t), theirs, null(t), null(t)})
	p.Expect(t, "child true, variable false, descriptors [closed close-on-exec closed close-on-exec]")
	p.Expect(t, "{Control:4 Roster:6}")
	require.NoError(t, p.Wait(t))
}

// A variable that is forged is removed, and nothing else happens.
func TestForged(t *testing.T) {
	_, theirs := pair(t)
	for _, forged := range []string{"", "4", "x,y", "3,4", "3", "-1,-1", "1000,1001", "5,5", "99999999999999999999,3"} {
		t.Run(forged, func(t *testing.T) {
			proctest.NoLeaks(t)
			t.Setenv(variable, forged)
			p := witness.Start(t, []*os.File{null(t), theirs, null(t)})
			p.Expect(t, "child false, variable false, descriptors [open open open]")
			require.NoError(t, p.Wait(t))
		})
	}
}

// Who has fewer rights than this program may not command it.
func TestEquals(t *testing.T) {
	parent := &unix.Ucred{Pid: 1, Uid: 1000, Gid: 100}
	require.True(t, inherit.Equals(parent, 1000, 100, false))
	require.False(t, inherit.Equals(parent, 0, 100, false), "a setuid program")
	require.False(t, inherit.Equals(parent, 1000, 0, false), "a setgid program")
	require.False(t, inherit.Equals(parent, 1000, 100, true), "a program with capabilities by its file")
}

// A socket that the parent has made as somebody else: this program is one that takes
// the rights of its file's owner or group, and its parent may be anybody. Only root can
// be another for a moment, and not everywhere.
func TestParentWithOtherRights(t *testing.T) {
	const stranger = 12345
	for name, call := range map[string]uintptr{"user": unix.SYS_SETRESUID, "group": unix.SYS_SETRESGID} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			theirs, other := pairOf(t, call, stranger)
			t.Setenv(variable, "3,4")
			p := witness.Start(t, []*os.File{theirs, null(t)})
			if other {
				p.Expect(t, "child false, variable false, descriptors [open open]")
			} else {
				p.Expect(t, "child true, variable false, descriptors [close-on-exec close-on-exec]")
				p.Expect(t, "{Control:3 Roster:4}")
			}
			require.NoError(t, p.Wait(t))
		})
	}
}

// pairOf returns a socket of a pair, and whether it was made with another effective
// user or group.
func pairOf(t *testing.T, call uintptr, id int) (theirs *os.File, other bool) {
	t.Helper()
	var fds [2]int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with this goroutine
		const keep = ^uintptr(0)
		_, _, errno := unix.RawSyscall(call, keep, uintptr(id), keep) // of this thread alone
		other = errno == 0
		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}()
	<-done
	require.NoError(t, err)
	file(t, fds[0])
	return file(t, fds[1]), other
}

// caller connects to the address it is given, and stays.
var caller = proctest.Register("caller", func(h *proctest.Helper) error {
	c, err := net.Dial("unix", h.Args[0])
	if err != nil {
		return err
	}
	h.Ready()
	return c.Close()
})

// A socket whose other end belongs to somebody else than the parent.
func TestForeignSocket(t *testing.T) {
	proctest.NoLeaks(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("@multiproc-inherit-test-%d", os.Getpid()), Net: "unix"})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	stranger := caller.Start(t, nil, l.Addr().String())
	conn, err := l.AcceptUnix()
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	f, err := conn.File()
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()

	t.Setenv(variable, "3,4")
	p := witness.Start(t, []*os.File{f, null(t)})
	p.Expect(t, "child false, variable false, descriptors [open open]")
	require.NoError(t, p.Wait(t))
	proctest.Gate(t, stranger)
	require.NoError(t, stranger.Wait(t))
}
