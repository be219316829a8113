package proc_test

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// talksTo connects and sends some messages, and one more of which only a part
// finds room: with descriptors, if it is told to.
var talksTo = proctest.Register("talks to", func(h *proctest.Helper) error {
	c, err := proc.Dial(context.Background(), h.Args[0], nil)
	if err != nil {
		return err
	}
	for n := range 3 {
		if err := c.Send(context.Background(), n); err != nil {
			return err
		}
	}
	h.Say("sent")
	if len(h.Files) > 0 {
		type large struct {
			File *proc.File
			Rest []byte
		}
		return c.Send(context.Background(), large{&proc.File{File: h.Files[0]}, make([]byte, 16<<20)})
	}
	return c.SendBytes(context.Background(), make([]byte, 16<<20))
})

// Who dies in the middle of a message has sent the earlier ones, and nothing of
// that one, not even its descriptors.
func TestSenderKilled(t *testing.T) {
	proctest.NoLeaks(t)
	for _, passing := range []bool{false, true} {
		l, _ := listen(t, "", nil)
		var files []*os.File
		r, w, err := os.Pipe()
		require.NoError(t, err)
		if passing {
			files = append(files, w)
		}
		p := talksTo.Start(t, files, l.Address())
		require.NoError(t, w.Close())
		c := accept(t, l)
		p.Expect(t, "sent")
		for n := range 3 {
			require.Equal(t, n, receive[int](t, c))
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun(t, c)
		var v []int
		got := make(chan error, 1)
		go func() { got <- c.Recv(ctx, &v) }() // holds a part, descriptors included
		p.Stop(t)
		p.Kill(t)
		err = <-got
		cancel()
		if passing {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		} else {
			require.ErrorIs(t, err, proc.ErrKind, "of the bytes only the head was looked at")
			_, err = c.RecvBytes(t.Context(), 0)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		_, err = r.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "nobody has the other end of the pipe")
		require.NoError(t, r.Close())
		require.ErrorIs(t, c.Send(t.Context(), 1), syscall.EPIPE)
	}
}

// hearsNothing connects and receives nothing.
var hearsNothing = proctest.Register("hears nothing", func(h *proctest.Helper) error {
	c, err := proc.Dial(context.Background(), h.Args[0], nil)
	if err != nil {
		return err
	}
	if _, err := proc.Wait(context.Background(), c); err != nil {
		return err
	}
	h.Say("something has come")
	select {}
})

// Who sends to a process that dies is told; files on the way are closed.
func TestReceiverKilled(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	p := hearsNothing.Start(t, nil, l.Address())
	c := accept(t, l)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, c.Send(t.Context(), &proc.File{File: w}))
	require.NoError(t, w.Close())
	p.Expect(t, "something has come")
	blocked := make(chan error)
	go func() { blocked <- c.SendBytes(t.Context(), make([]byte, 16<<20)) }()
	p.Kill(t)
	require.ErrorIs(t, <-blocked, syscall.EPIPE)
	require.ErrorIs(t, c.Send(t.Context(), 1), syscall.EPIPE)
	_, err = r.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())
	var v int
	require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
}

// shakesInPart is a caller or a listener that sends so many bytes of its part of
// the handshake and waits to be killed.
var shakesInPart = proctest.Register("shakes in part", func(h *proctest.Helper) error {
	n, err := strconv.Atoi(h.Args[2])
	if err != nil {
		return err
	}
	var c net.Conn
	listens := h.Args[0] == "listen"
	if listens {
		l, err := net.Listen("unix", h.Args[1])
		if err != nil {
			return err
		}
		h.Say("listening")
		if c, err = l.Accept(); err != nil {
			return err
		}
	} else if c, err = net.Dial("unix", h.Args[1]); err != nil {
		return err
	}
	mine, theirs := helloOf(1, 1|role(listens), 3), make([]byte, 48)
	if _, err := io.ReadFull(c, theirs); err != nil {
		return err
	}
	part := append(mine, proofOf("secret", roleCaller, mine, theirs)...)
	if listens {
		part = append(mine, proofOf("secret", roleListener, theirs, mine)...)
	}
	if _, err := c.Write(part[:n]); err != nil {
		return err
	}
	h.Say("written")
	select {}
})

// Wherever in the handshake a process dies, the other one is told at once.
func TestKilledInHandshake(t *testing.T) {
	proctest.NoLeaks(t)
	l, refused := listen(t, "", keyed("secret"))
	for _, n := range []string{"0", "1", "16", "47", "48", "49", "87"} {
		p := shakesInPart.Start(t, nil, "call", l.Address(), n)
		p.Expect(t, "written")
		p.Kill(t)
		require.ErrorIs(t, <-refused, io.ErrUnexpectedEOF, n)

		address := unique("handshake")
		p = shakesInPart.Start(t, nil, "listen", address, n)
		p.Expect(t, "listening")
		dialled := make(chan error)
		go func() {
			_, err := proc.Dial(t.Context(), address, keyed("secret"))
			dialled <- err
		}()
		p.Expect(t, "written")
		p.Kill(t)
		require.ErrorIs(t, <-dialled, io.ErrUnexpectedEOF, n)
	}
	dial(t, l.Address(), keyed("secret"))
	accept(t, l)
}

// A stopped process is alive: its connection has no end, and its listener none
// either.
func TestPeerStopped(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	p := hearsNothing.Start(t, nil, l.Address())
	c := accept(t, l)
	p.Stop(t)
	_, err := proc.Wait(ended(), c)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.Send(t.Context(), "for later"))
	p.Cont(t)
	p.Expect(t, "something has come")
	require.NoError(t, p.Signal(unix.SIGKILL))
	var v int
	require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
}

// numb has no standard error, so that a connection gets its descriptor.
var numb = proc.RegisterTask("numb", func(ctx context.Context, _ proc.None) error {
	if err := os.Stderr.Close(); err != nil {
		return err
	}
	a, b, err := proc.NewConn()
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	return a.SendBytes(ctx, []byte("is anybody there?"))
})

// A peer that has gone is an error, also where Go makes a signal of it.
func TestConnAsStandardError(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, numb, proc.None{}, nil)
	require.ErrorIs(t, c.Join(t.Context()), syscall.EPIPE)
	require.Equal(t, 1, exitCode(t, c.Process))
}
