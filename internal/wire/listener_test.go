package wire

import (
	"context"
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
}

// A process that holds the directory's lock may be stopped: others do not wait
// for ever.
func TestListenLocked(t *testing.T) {
	dir := t.TempDir()
	held, err := os.Open(dir)
	require.NoError(t, err)
	defer held.Close()
	require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	_, err = Listen(filepath.Join(dir, "socket"), 1)
	require.ErrorIs(t, err, unix.EWOULDBLOCK)
	require.ErrorContains(t, err, "another process has held it for a second")

	released := make(chan error, 1)
	time.AfterFunc(20*time.Millisecond, func() { released <- unix.Flock(int(held.Fd()), unix.LOCK_UN) })
	l, err := Listen(filepath.Join(dir, "socket"), 1)
	require.NoError(t, err)
	require.NoError(t, <-released)
	require.NoError(t, l.Close())
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
