package proc_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// Python: _TestListener.test_multiple_bind
func TestListenTwice(t *testing.T) {
	for _, address := range []string{"", filepath.Join(t.TempDir(), "socket")} {
		l, _ := listen(t, address, nil)
		_, err := proc.Listen(l.Address(), nil)
		require.ErrorIs(t, err, unix.EADDRINUSE)
	}
}

// Python: _TestListener.test_context — differs: Go has no with statement; Close is what it would call
// Python: _TestListener.test_empty_authkey
// Python: _TestListener.test_abstract_socket
func TestListenerForOne(t *testing.T) {
	proctest.NoLeaks(t)
	for _, o := range []*proc.ConnOptions{nil, {Key: []byte{}}} {
		for _, address := range []string{"", unique("something")} {
			l, err := proc.Listen(address, o)
			require.NoError(t, err)
			c, err := proc.Dial(t.Context(), l.Address(), o)
			require.NoError(t, err)
			d, err := l.Accept(t.Context())
			require.NoError(t, err)
			require.NoError(t, c.Send(t.Context(), 1729))
			require.Equal(t, 1729, receive[int](t, d))
			require.NoError(t, errors.Join(d.Close(), c.Close(), l.Close()))
			_, err = l.Accept(t.Context())
			require.ErrorIs(t, err, proc.ErrClosed)
		}
	}
}

// greeter connects, says hello, and is gone.
var greeter = proc.RegisterTask("greeter", func(ctx context.Context, address string) error {
	c, err := proc.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	return errors.Join(c.Send(ctx, "hello"), c.Close())
})

// Python: _TestListenerClient.test_listener_client
// Python: _TestListenerClient.test_issue14725
func TestListenerAndCaller(t *testing.T) {
	proctest.NoLeaks(t)
	for _, address := range []string{"", filepath.Join(t.TempDir(), "socket")} {
		for _, gone := range []bool{false, true} {
			l, _ := listen(t, address, nil)
			p := start(t, greeter, l.Address(), nil)
			if gone {
				require.NoError(t, p.Join(t.Context()))
			}
			require.Equal(t, "hello", receive[string](t, accept(t, l)))
			require.NoError(t, p.Join(t.Context()))
			require.NoError(t, l.Close())
		}
	}
}

// Python: _TestListenerClient.test_issue16955
func TestCallerWaitsForBytes(t *testing.T) {
	for _, address := range []string{"", filepath.Join(t.TempDir(), "socket")} {
		l, _ := listen(t, address, nil)
		c := dial(t, l.Address(), nil)
		a := accept(t, l)
		require.NoError(t, a.SendBytes(t.Context(), []byte("hello")))
		ready, err := proc.Wait(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, []proc.Source{c}, ready)
	}
}

// Python: TestInvalidFamily.test_invalid_family
func TestInvalidFamily(t *testing.T) {
	_, err := proc.Listen(`\\.\test`, nil)
	require.ErrorIs(t, err, proc.ErrAddress)
	require.EqualError(t, err, `proc: listen at \\.\test: not an address of a Unix socket: "\\\\.\\test": it is neither a path with a slash nor @ and a name`)
}

// Python: OtherTest.test_deliver_challenge_auth_failure
// Python: ChallengeResponseTest.test_challengeresponse
func TestChallenge(t *testing.T) {
	proctest.NoLeaks(t)
	l, refused := listen(t, "", keyed("supadupasecretkey"))
	challenge := func() (answer []byte, respond func([]byte)) {
		c := raw(t, l.Address())
		mine := helloOf(1, 1, 5)
		_, err := c.Write(mine)
		require.NoError(t, err)
		theirs := readAll(t, c, 48)
		return proofOf("supadupasecretkey", roleCaller, mine, theirs), func(proof []byte) {
			_, err := c.Write(proof)
			require.NoError(t, err)
			answer = readAll(t, c, 40)
		}
	}
	proof, respond := challenge()
	respond(proof)
	accept(t, l)

	for bogus := range proof { // one bit of it
		proof, respond = challenge()
		if proof[bogus] ^= 0x10; bogus >= 4 && bogus < 8 {
			continue // a reserved field
		}
		respond(proof)
		require.ErrorIs(t, <-refused, proc.ErrAuthentication, bogus)
	}
	proof, respond = challenge()
	copy(proof[8:], "something bogus")
	respond(proof)
	require.ErrorIs(t, <-refused, proc.ErrAuthentication)
}

// Python: TestInvalidHandle.test_invalid_handles — differs: a descriptor becomes a connection only by arriving in a message
func TestInvalidConn(t *testing.T) {
	var c *proc.Conn
	a, b := pairOf(t)
	require.NoError(t, a.Send(t.Context(), &proc.File{File: os.Stdout}))
	require.Error(t, b.Recv(t.Context(), &c))
	for _, data := range []string{"\x82\x19\x03\xe8\x01", "\x82\x20\x01", "\x82\x00\x20", "\xf6", ""} {
		require.Error(t, new(proc.Conn).UnmarshalCBOR([]byte(data)))
	}
}

// muchData is more than a socket holds.
const muchData = 4 << 20

// ignorant has a handler for a signal that does nothing.
var ignorant = proc.RegisterTask("ignorant", func(ctx context.Context, parent *proc.Conn) error {
	signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
	var n int
	return errors.Join(parent.Send(ctx, "ready"), parent.Recv(ctx, &n), parent.Send(ctx, n), parent.SendBytes(ctx, make([]byte, muchData)))
})

// Python: TestIgnoreEINTR.test_ignore
func TestSignalsWhileConversing(t *testing.T) {
	proctest.NoLeaks(t)
	c, theirs := pairOf(t)
	p := start(t, ignorant, theirs, nil)
	require.NoError(t, theirs.Close())
	require.Equal(t, "ready", receive[string](t, c))
	interrupt := func() {
		for range 100 {
			require.NoError(t, unix.Kill(p.Pid(), unix.SIGUSR1))
		}
	}
	interrupt()
	require.NoError(t, c.Send(t.Context(), 1234))
	require.Equal(t, 1234, receive[int](t, c))
	begun(t, c)
	interrupt()
	b, err := c.RecvBytes(t.Context(), 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(make([]byte, muchData), b))
	require.NoError(t, p.Join(t.Context()))
}

// ignorantListener listens, and has such a handler.
var ignorantListener = proc.RegisterTask("ignorant listener", func(ctx context.Context, parent *proc.Conn) error {
	signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
	l, err := proc.Listen("", nil)
	if err != nil {
		return err
	}
	if err := parent.Send(ctx, l.Address()); err != nil {
		return err
	}
	if _, err := proc.Wait(ctx, l); err != nil {
		return err
	}
	c, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.Send(ctx, "welcome"), c.Close(), l.Close())
})

// Python: TestIgnoreEINTR.test_ignore_listener
func TestSignalsWhileListening(t *testing.T) {
	proctest.NoLeaks(t)
	c, theirs := pairOf(t)
	p := start(t, ignorantListener, theirs, nil)
	require.NoError(t, theirs.Close())
	address := receive[string](t, c)
	for range 100 {
		require.NoError(t, unix.Kill(p.Pid(), unix.SIGUSR1))
	}
	require.Equal(t, "welcome", receive[string](t, dial(t, address, nil)))
	require.NoError(t, p.Join(t.Context()))
}
