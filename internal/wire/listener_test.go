package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unique is an address which no other run of the tests uses.
func unique(name string) string { return fmt.Sprintf("@multiproc wire test %d %s", os.Getpid(), name) }

func TestListenAndDial(t *testing.T) {
	before := descriptors(t)
	path := filepath.Join(t.TempDir(), "socket")
	for _, address := range []string{path, unique("x"), unique(strings.Repeat("x", 107)[len(unique("")):])} {
		l, err := Listen(address, 1)
		require.NoError(t, err)
		require.Equal(t, address, l.Address())
		_, err = Listen(address, 1)
		require.ErrorIs(t, err, unix.EADDRINUSE)
		if address == path { // it has looked whether somebody listens
			probe, err := l.Accept()
			require.NoError(t, err)
			_, _, err = Recv(probe)
			require.Equal(t, io.EOF, err)
			require.NoError(t, probe.Close())
		}
		c, err := Dial(t.Context(), address)
		require.NoError(t, err)
		d, err := l.Accept()
		require.NoError(t, err)
		for _, end := range []*Conn{c, d} {
			peer, err := end.Peer()
			require.NoError(t, err)
			require.Equal(t, Peer{Pid: os.Getpid(), UID: os.Geteuid()}, peer)
		}
		require.NoError(t, Send(c, 1, &Message{Data: []byte("hello")}))
		_, m, err := Recv(d)
		require.NoError(t, err)
		require.Equal(t, "hello", string(m.Data))
		require.NoError(t, c.Close())
		require.NoError(t, d.Close())

		accepted := make(chan error)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-accepted, os.ErrClosed)
	}
	require.NoFileExists(t, path)
	require.Equal(t, before, descriptors(t))

	a, b := pair(t)
	for _, end := range []*Conn{a, b} {
		peer, err := end.Peer()
		require.NoError(t, err)
		require.Equal(t, Peer{Pid: os.Getpid(), UID: os.Geteuid(), Pair: true}, peer)
	}
}

// A process that makes a socket there may be stopped: others do not wait for ever.
// Nothing is left of the lock, nor of one whose holder has died. That somebody
// locks the directory means nothing.
func TestListenLocked(t *testing.T) {
	dir := t.TempDir()
	opened, err := os.Open(dir)
	require.NoError(t, err)
	defer opened.Close()
	require.NoError(t, unix.Flock(int(opened.Fd()), unix.LOCK_EX))
	path := dir + "/socket"
	held, err := lock(dir + "/.multiproc-lock-socket")
	require.NoError(t, err)
	_, err = Listen(path, 1)
	require.ErrorIs(t, err, unix.EWOULDBLOCK)
	require.ErrorContains(t, err, "another process has held it for a second")
	other, err := Listen(dir+"/other", 1)
	require.NoError(t, err)
	require.NoError(t, other.Close())

	time.AfterFunc(20*time.Millisecond, func() { _ = held.Close() }) // as its death does
	l, err := Listen(path, 1)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// What has the lock's name and is no lock stays as it is.
func TestListenLockIsAnotherFile(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/.multiproc-lock-socket"
	require.NoError(t, os.WriteFile(name, []byte("precious"), 0o600))
	_, err := Listen(dir+"/socket", 1)
	require.ErrorContains(t, err, "it is not an empty file of this user")
	require.FileExists(t, name)
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.Symlink("elsewhere", name))
	_, err = Listen(dir+"/socket", 1)
	require.ErrorIs(t, err, unix.ELOOP)
	require.NoFileExists(t, dir+"/elsewhere")
}

// Root takes over the lock that a dead process of any user has left.
func TestListenLockOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/.multiproc-lock-socket"
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(name, 12345, -1))
	}
	l, err := Listen(dir+"/socket", 1)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoFileExists(t, name)
}

// Of many that listen at once, where a dead one has left its socket, one wins. It
// can be called.
func TestListenAtOnce(t *testing.T) {
	path := t.TempDir() + "/socket"
	for range 20 {
		fd, err := newSocket(0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
		require.NoError(t, unix.Close(fd))
		made := make(chan *Listener)
		for range 8 {
			go func() {
				l, err := Listen(path, 16)
				if err != nil && !errors.Is(err, unix.EADDRINUSE) {
					t.Error(err)
				}
				made <- l
			}()
		}
		var winner *Listener
		for range 8 {
			if l := <-made; l != nil {
				require.Nil(t, winner)
				winner = l
			}
		}
		require.NotNil(t, winner)
		c, err := Dial(t.Context(), path)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, winner.Close())
		require.NoFileExists(t, path)
	}
}

// Where a is a symbolic link, a/../b lies where the link leads. The listener finds
// its socket again from another directory.
func TestListenBehindLink(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/far/away", 0o700))
	require.NoError(t, os.Symlink(dir+"/far/away", dir+"/link"))
	t.Chdir(dir)
	l, err := Listen("link/../socket", 1)
	require.NoError(t, err)
	require.NoFileExists(t, dir+"/socket")
	require.FileExists(t, dir+"/far/socket")
	t.Chdir("/")
	require.NoError(t, l.Close())
	require.NoFileExists(t, dir+"/far/socket")
}

// A socket is for its user alone, whatever the umask, from its first moment on.
func TestListenMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	old := unix.Umask(0)
	l, err := Listen(path, 1)
	unix.Umask(old)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o600, info.Mode())
	require.NoError(t, l.Close())
}

func TestDialWaits(t *testing.T) {
	l, err := Listen(unique("waiting"), 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	first, err := Dial(t.Context(), l.Address())
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = Dial(ctx, l.Address())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	connected := make(chan error)
	go func() {
		c, err := Dial(t.Context(), l.Address())
		if err == nil {
			err = c.Close()
		}
		connected <- err
	}()
	for range 2 {
		c, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.NoError(t, <-connected)
}

// While a listener's queue is full, callers take up no threads.
func TestDialTakesNoThreads(t *testing.T) {
	l, err := Listen(unique("full"), 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	first, err := Dial(t.Context(), l.Address())
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		return len(tasks)
	}
	const callers = 100
	before := threads()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	failed := make(chan error)
	for range callers {
		go func() {
			_, err := Dial(ctx, l.Address())
			failed <- err
		}()
	}
	for range callers {
		require.ErrorIs(t, <-failed, context.DeadlineExceeded)
	}
	require.Less(t, threads()-before, callers/2)
}

// carrier makes a connection of the descriptor that it arrives with.
type carrier struct {
	add  func() (int, error)
	conn *Conn
}

func (*carrier) Travels() {}

func (c *carrier) MarshalCBOR() ([]byte, error) {
	_, err := c.add()
	return []byte{0}, err
}

func (c *carrier) UnmarshalCBOR([]byte) (err error) {
	c.conn, err = TakeConn(0)
	return err
}

func TestTakeConn(t *testing.T) {
	before := descriptors(t)
	a, b := pair(t)
	m, err := Encode(reflect.ValueOf(&carrier{add: func() (int, error) { return AddConn(a) }}))
	require.NoError(t, err)
	var got *carrier
	require.NoError(t, Decode(m, reflect.ValueOf(&got).Elem()))
	m.Close()
	require.NoError(t, Send(got.conn, 5, nil))
	kind, _, err := Recv(b)
	require.NoError(t, err)
	require.Equal(t, byte(5), kind)
	require.NoError(t, got.conn.Close())

	var fds [2]int
	fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	inet, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	for _, f := range []*os.File{os.NewFile(uintptr(fds[0]), ""), os.NewFile(uintptr(fds[1]), ""), os.NewFile(uintptr(inet), ""), memfd(t, "")} {
		m, err := Encode(reflect.ValueOf(&carrier{add: func() (int, error) { return AddFile(f, f) }}))
		require.NoError(t, err)
		require.ErrorIs(t, Decode(m, reflect.ValueOf(&got).Elem()), ErrFormat)
		m.Close()
		require.NoError(t, f.Close())
	}
	_, err = TakeConn(0)
	require.ErrorIs(t, err, ErrNoMessage)
	_, err = TakeFile(0, "")
	require.ErrorIs(t, err, ErrNoMessage)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.Equal(t, before, descriptors(t))
}
