package proc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// An end that was sent is another one of the same connection.
func TestConnTravels(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	c, d := pairOf(t)
	type both struct {
		Ends []*proc.Conn
		None *proc.Conn
		File *proc.File
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, a.Send(t.Context(), both{Ends: []*proc.Conn{c, c}, File: &proc.File{File: w}}))
	require.NoError(t, w.Close())
	got := receive[both](t, b)
	require.Len(t, got.Ends, 2)
	require.Nil(t, got.None)
	for i, end := range append(got.Ends, c) {
		require.NoError(t, end.Send(t.Context(), i))
		require.Equal(t, i, receive[int](t, d))
		require.NoError(t, end.Close())
	}
	var v int
	require.Equal(t, io.EOF, d.Recv(t.Context(), &v))

	require.Equal(t, "|1", got.File.Name())
	_, err = got.File.WriteString("from afar")
	require.NoError(t, err)
	require.NoError(t, got.File.Close())
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "from afar", string(text))
	require.NoError(t, r.Close())
}

// Its limit travels along, and what was half received does not.
func TestConnTravelsWhole(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	c := dial(t, l.Address(), &proc.ConnOptions{MaxMessage: 10})
	d := accept(t, l)
	a, b := pairOf(t)
	require.NoError(t, a.Send(t.Context(), c))
	moved := receive[*proc.Conn](t, b)
	defer func() { require.NoError(t, moved.Close()) }()
	require.NoError(t, d.SendBytes(t.Context(), make([]byte, 11)))
	_, err := moved.RecvBytes(t.Context(), 100)
	require.ErrorIs(t, err, proc.ErrTooLarge)
	require.ErrorContains(t, a.Send(t.Context(), moved), "the next message has been received here, at least in part")
	require.NoError(t, a.Send(t.Context(), d))
	other := receive[*proc.Conn](t, b)
	pid, uid := other.Peer()
	require.Equal(t, []int{os.Getpid(), os.Geteuid()}, []int{pid, uid})
	require.NoError(t, other.Close())

	closed, _ := pairOf(t)
	require.NoError(t, closed.Close())
	require.ErrorIs(t, a.Send(t.Context(), closed), proc.ErrClosed)
}

// What is no connection does not become one.
func TestConnOfOtherFile(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	var c *proc.Conn
	require.NoError(t, a.Send(t.Context(), &proc.File{File: os.Stdin}))
	require.ErrorContains(t, b.Recv(t.Context(), &c), "proc: receive a connection")
	require.Nil(t, c)

	_, err := (&proc.Conn{}).MarshalCBOR()
	require.Error(t, err)
	_, err = a.MarshalCBOR()
	require.ErrorContains(t, err, "shared objects travel only in arguments and results, and over connections")
	require.ErrorContains(t, c.UnmarshalCBOR([]byte{0x82, 0, 1}), "shared objects travel only")
	require.Error(t, (&proc.File{}).UnmarshalCBOR([]byte{0x82, 0, 0x60}))
	require.Error(t, (&proc.File{}).UnmarshalCBOR([]byte{0}))
}

// writeFile writes to the files that it is sent. With dummies it has no small
// descriptor free.
var writeFile = proc.RegisterTask("write file", func(ctx context.Context, in struct {
	Conn    *proc.Conn
	Dummies bool
}) error {
	if in.Dummies {
		for fd := range 256 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
				if err := unix.Dup3(0, fd, unix.O_CLOEXEC); err != nil {
					return err
				}
			}
		}
	}
	var f *proc.File
	if err := in.Conn.Recv(ctx, &f); err != nil {
		return err
	}
	if in.Dummies && f.Fd() < 256 {
		return errors.New("the descriptor is a small one")
	}
	if _, err := f.WriteString("foo"); err != nil {
		return err
	}
	return errors.Join(f.Close(), in.Conn.Close())
})

// Python: _TestConnection.test_fd_transfer
// Python: _TestConnection.test_large_fd_transfer
func TestFileTransfer(t *testing.T) {
	proctest.NoLeaks(t)
	for _, large := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "file")
		f, err := os.Create(name)
		require.NoError(t, err)
		if large {
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 300)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			f = os.NewFile(uintptr(fd), name)
		}
		c, theirs := pairOf(t)
		p := start(t, writeFile, struct {
			Conn    *proc.Conn
			Dummies bool
		}{theirs, large}, nil)
		require.NoError(t, theirs.Close())
		require.NoError(t, c.Send(t.Context(), &proc.File{File: f}))
		require.NoError(t, f.Close())
		require.NoError(t, p.Join(t.Context()))
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "foo", string(text))
	}
}

// Python: _TestConnection.test_missing_fd_transfer — differs: the descriptor is missing from a frame that announces it
func TestMissingFile(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	c := raw(t, l.Address())
	_, err := c.Write(helloOf(1, 0, 1))
	require.NoError(t, err)
	header := func(files byte) []byte {
		return []byte{'P', 'M', 0x10, 0, files, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	accepted := accept(t, l)
	_, err = c.Write(append(header(0), "\x82\x00\x60"...)) // descriptor 0 of none
	require.NoError(t, err)
	var f *proc.File
	require.ErrorContains(t, accepted.Recv(t.Context(), &f), "descriptor 0 of 0")
	_, err = c.Write(append(header(1), "\x82\x00\x60"...))
	require.NoError(t, err)
	require.ErrorContains(t, accepted.Recv(t.Context(), &f), "0 descriptors of 1")
	require.ErrorContains(t, accepted.Recv(t.Context(), &f), "0 descriptors of 1", "it is of no use any more")
}

// parrot sends messages back, until an empty one.
var parrot = proc.RegisterTask("parrot", func(ctx context.Context, c *proc.Conn) error {
	for {
		m, err := c.RecvBytes(ctx, 0)
		if err != nil {
			return err
		}
		if len(m) == 0 {
			return c.Close()
		}
		if err := c.SendBytes(ctx, m); err != nil {
			return err
		}
	}
})

// Python: _TestConnection.test_spawn_close
func TestConnClosedAfterStart(t *testing.T) {
	proctest.NoLeaks(t)
	c, theirs := pairOf(t)
	p := start(t, parrot, theirs, nil)
	require.NoError(t, theirs.Close())
	for _, message := range [][]byte{[]byte("hello"), bytes.Repeat([]byte("X"), 16<<20)} {
		sent := make(chan error)
		go func() { sent <- c.SendBytes(t.Context(), message) }()
		back, err := c.RecvBytes(t.Context(), 0)
		require.NoError(t, err)
		require.NoError(t, <-sent)
		require.True(t, bytes.Equal(message, back))
	}
	require.NoError(t, c.SendBytes(t.Context(), nil))
	require.NoError(t, c.Close())
	require.NoError(t, p.Join(t.Context()))
}

// Python: _TestConnection.test_context — differs: Go has no with statement; Close is what it would call
func TestConnClose(t *testing.T) {
	a, b := pairOf(t)
	require.NoError(t, a.Send(t.Context(), 1729))
	require.Equal(t, 1729, receive[int](t, b))
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	var v int
	require.ErrorIs(t, a.Recv(t.Context(), &v), proc.ErrClosed)
	require.ErrorIs(t, b.Recv(t.Context(), &v), proc.ErrClosed)
}

// accepter listens, and sends on whom it accepts.
var accepter = proc.RegisterTask("accepter", func(ctx context.Context, parent *proc.Conn) error {
	l, err := proc.Listen("", nil)
	if err != nil {
		return err
	}
	if err := parent.Send(ctx, l.Address()); err != nil {
		return err
	}
	c, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(parent.Send(ctx, c), c.Close(), l.Close()); err != nil {
		return err
	}

	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := parent.Send(ctx, other.Addr().String()); err != nil {
		return err
	}
	s, err := other.Accept()
	if err != nil {
		return err
	}
	f, err := s.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	return errors.Join(parent.Send(ctx, &proc.File{File: f}), f.Close(), s.Close(), other.Close())
})

// An errand is what caller is to do.
type errand struct{ Network, Address, Message string }

var caller = proc.RegisterTask("caller", func(ctx context.Context, parent *proc.Conn) error {
	for {
		var order errand
		if err := parent.Recv(ctx, &order); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if order.Network != "" {
			s, err := net.Dial(order.Network, order.Address)
			if err != nil {
				return err
			}
			_, err = io.WriteString(s, order.Message)
			if err := errors.Join(err, s.Close()); err != nil {
				return err
			}
			continue
		}
		c, err := proc.Dial(ctx, order.Address, nil)
		if err != nil {
			return err
		}
		if err := errors.Join(c.Send(ctx, order.Message), c.Close()); err != nil {
			return err
		}
	}
})

// Python: _TestPicklingConnections.test_pickling
func TestConnOverConn(t *testing.T) {
	proctest.NoLeaks(t)
	lc, lc0 := pairOf(t)
	lp := start(t, accepter, lc0, nil)
	require.NoError(t, lc0.Close())
	rc, rc0 := pairOf(t)
	rp := start(t, caller, rc0, nil)
	require.NoError(t, rc0.Close())

	require.NoError(t, rc.Send(t.Context(), errand{Address: receive[string](t, lc), Message: "THIS CONNECTION"}))
	c := receive[*proc.Conn](t, lc)
	require.Equal(t, "THIS CONNECTION", receive[string](t, c))
	pid, _ := c.Peer()
	require.Equal(t, rp.Pid(), pid)
	require.NoError(t, c.Close())

	require.NoError(t, rc.Send(t.Context(), errand{Network: "tcp", Address: receive[string](t, lc), Message: "A NORMAL SOCKET"}))
	f := receive[*proc.File](t, lc)
	s, err := net.FileConn(f.File)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, s.SetDeadline(time.Now().Add(patience)))
	text, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "A NORMAL SOCKET", string(text))
	require.NoError(t, s.Close())

	require.NoError(t, rc.Close())
	require.NoError(t, rp.Join(t.Context()))
	require.NoError(t, lp.Join(t.Context()))
}

// access uses the ends that it is sent.
var access = proc.RegisterTask("access", func(ctx context.Context, parent *proc.Conn) error {
	var w, r *proc.Conn
	if err := parent.Recv(ctx, &w); err != nil {
		return err
	}
	if err := errors.Join(w.Send(ctx, "all is well"), w.Close()); err != nil {
		return err
	}
	if err := parent.Recv(ctx, &r); err != nil {
		return err
	}
	var s string
	if err := errors.Join(r.Recv(ctx, &s), r.Close()); err != nil {
		return err
	}
	return parent.Send(ctx, s+s)
})

// Python: _TestPicklingConnections.test_access
func TestConnAccess(t *testing.T) {
	proctest.NoLeaks(t)
	c, theirs := pairOf(t)
	p := start(t, access, theirs, nil)
	require.NoError(t, theirs.Close())

	r, w := pairOf(t)
	require.NoError(t, c.Send(t.Context(), w))
	require.NoError(t, w.Close())
	require.Equal(t, "all is well", receive[string](t, r))

	r, w = pairOf(t)
	require.NoError(t, c.Send(t.Context(), r))
	require.NoError(t, r.Close())
	require.NoError(t, w.Send(t.Context(), "foobar"))
	require.Equal(t, "foobarfoobar", receive[string](t, c))
	require.NoError(t, p.Join(t.Context()))
}
