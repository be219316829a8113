package proc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// anyLength is more than any message has here.
const anyLength = 1 << 30

// echoBytes sends back what it receives, up to an empty message.
var echoBytes = proc.RegisterTask("echo bytes", func(ctx context.Context, p *shm.BytePipe) error {
	for {
		m, err := p.RecvBytes(ctx, anyLength)
		if err != nil || len(m) == 0 {
			return err
		}
		if err := p.SendBytes(ctx, m); err != nil {
			return err
		}
	}
})

// echoValues does the same with values, up to nil.
var echoValues = proc.RegisterTask("echo values", func(ctx context.Context, p *shm.Pipe[[]*float64]) error {
	for {
		v, err := p.Recv(ctx)
		if err != nil || v == nil {
			return err
		}
		if err := p.Send(ctx, v); err != nil {
			return err
		}
	}
})

// Python: _TestConnection.test_connection — differs: a pipe is for values of one type or for bytes; a message that is too long for the buffer stays in the pipe, and is not in the error; the room for long ones is chosen when the pipe is made
func TestConnection(t *testing.T) {
	proctest.NoLeaks(t)
	values, theirValues := newPipe[[]*float64](t, nil)
	v := start(t, echoValues, theirValues, nil)
	require.NoError(t, theirValues.Close())
	seq := []*float64{new(1.0), new(2.25), nil}
	require.NoError(t, values.Send(t.Context(), seq))
	got, err := values.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, seq, got)

	conn, theirs := newBytePipe(t, &shm.PipeOptions{Bytes: 40 << 20})
	c := start(t, echoBytes, theirs, nil)
	require.NoError(t, theirs.Close())
	msg := []byte("hello world")
	longMsg := bytes.Repeat(msg, 10)
	bounce := func(m []byte) {
		require.NoError(t, conn.SendBytes(t.Context(), m))
	}
	bounce(msg)
	m, err := conn.RecvBytes(t.Context(), anyLength)
	require.NoError(t, err)
	require.Equal(t, msg, m)

	var arr []byte
	for i := range uint32(4) {
		arr = binary.NativeEndian.AppendUint32(arr, i)
	}
	for _, offset := range []int{0, 12} {
		buffer := make([]byte, 40)
		bounce(arr)
		n, err := conn.RecvInto(t.Context(), buffer[offset:])
		require.NoError(t, err)
		require.Equal(t, len(arr), n)
		require.Equal(t, slices.Concat(make([]byte, offset), arr, make([]byte, 40-offset-n)), buffer)
	}
	bounce(longMsg)
	_, err = conn.RecvInto(t.Context(), make([]byte, 40))
	require.ErrorIs(t, err, io.ErrShortBuffer)
	require.ErrorContains(t, err, "110 bytes")
	m, err = conn.RecvBytes(t.Context(), anyLength)
	require.NoError(t, err)
	require.Equal(t, longMsg, m)

	now, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, conn.Poll(now), context.Canceled)
	soon, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	require.ErrorIs(t, conn.Poll(soon), context.DeadlineExceeded)
	bounce(msg)
	require.NoError(t, conn.Poll(t.Context()))
	_, err = conn.RecvBytes(now, anyLength)
	require.NoError(t, err)

	big := bytes.Repeat([]byte("X"), 16<<20)
	bounce(big)
	m, err = conn.RecvBytes(t.Context(), anyLength)
	require.NoError(t, err)
	require.True(t, bytes.Equal(big, m))

	bounce(nil) // the child ends
	_, err = conn.RecvBytes(t.Context(), anyLength)
	require.Equal(t, io.EOF, err)
	require.NoError(t, c.Join(t.Context()))
	require.NoError(t, values.Send(t.Context(), nil))
	_, err = values.Recv(t.Context())
	require.Equal(t, io.EOF, err)
	require.NoError(t, v.Join(t.Context()))
}

// Python: _TestConnection.test_duplex_false — differs: polling an end that only sends is no error; receiving then tells
func TestDuplexFalse(t *testing.T) {
	proctest.NoLeaks(t)
	reader, writer := newPipe[int](t, &shm.PipeOptions{OneWay: true})
	require.NoError(t, writer.Send(t.Context(), 1))
	v, err := reader.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.ErrorIs(t, reader.Send(t.Context(), 2), shm.ErrDirection)
	_, err = writer.Recv(t.Context())
	require.ErrorIs(t, err, shm.ErrDirection)
	require.NoError(t, writer.Poll(t.Context()))
}

// Python: _TestConnection.test_spawn_close
func TestSpawnClose(t *testing.T) {
	proctest.NoLeaks(t)
	conn, theirs := newBytePipe(t, nil)
	c := start(t, echoBytes, theirs, nil)
	require.NoError(t, theirs.Close()) // perhaps before the child has begun
	require.NoError(t, conn.SendBytes(t.Context(), []byte("hello")))
	m, err := conn.RecvBytes(t.Context(), anyLength)
	require.NoError(t, err)
	require.Equal(t, "hello", string(m))
	require.NoError(t, conn.SendBytes(t.Context(), nil))
	require.NoError(t, conn.Close())
	require.NoError(t, c.Join(t.Context()))
}

// Python: _TestConnection.test_sendbytes — differs: a part of the bytes is a slice, whose bounds Go checks
func TestSendBytes(t *testing.T) {
	proctest.NoLeaks(t)
	msg := []byte("abcdefghijklmnopqrstuvwxyz")
	a, b := newBytePipe(t, nil)
	for _, part := range [][]byte{msg, msg[5:], msg[7:15], msg[26:], msg[26:26]} {
		require.NoError(t, a.SendBytes(t.Context(), part))
		got, err := b.RecvBytes(t.Context(), anyLength)
		require.NoError(t, err)
		require.Equal(t, string(part), string(got))
	}
}

// Python: _TestConnection.test_context — differs: deferred calls of Close in place of a with statement
func TestConnectionContext(t *testing.T) {
	proctest.NoLeaks(t)
	var a, b *shm.Pipe[int]
	func() {
		var err error
		a, b, err = shm.NewPipe[int](nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Close()) }()
		defer func() { require.NoError(t, b.Close()) }()
		require.NoError(t, a.Send(t.Context(), 1729))
		v, err := b.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1729, v)
	}()
	_, err := a.Recv(t.Context())
	require.ErrorIs(t, err, shm.ErrClosed)
	_, err = b.Recv(t.Context())
	require.ErrorIs(t, err, shm.ErrClosed)
}

// Python: _TestPoll.test_empty_string
func TestPollEmptyString(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newBytePipe(t, nil)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Poll(now), context.Canceled)
	require.NoError(t, b.SendBytes(t.Context(), []byte{}))
	require.NoError(t, a.Poll(now))
	require.NoError(t, a.Poll(now))
}

var pollStrings = []string{"hello", "", "a", "b", "", "bye", "", "lop"}

// sendStrings waits before each message until the test has looked for it.
var sendStrings = proc.RegisterTask("send strings", func(ctx context.Context, p *shm.BytePipe) error {
	for _, s := range pollStrings {
		if _, err := p.RecvBytes(ctx, 0); err != nil {
			return err
		}
		if err := p.SendBytes(ctx, []byte(s)); err != nil {
			return err
		}
	}
	return p.Close()
})

// Python: _TestPoll.test_strings
func TestPollStrings(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newBytePipe(t, nil)
	c := start(t, sendStrings, b, nil)
	require.NoError(t, b.Close())
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range pollStrings {
		require.ErrorIs(t, a.Poll(now), context.Canceled)
		require.NoError(t, a.SendBytes(t.Context(), nil))
		require.NoError(t, a.Poll(t.Context()))
		x, err := a.RecvBytes(t.Context(), anyLength)
		require.NoError(t, err)
		require.Equal(t, s, string(x))
	}
	require.NoError(t, c.Join(t.Context()))
}

// pollOnce returns once something has come, and leaves it. It hands the end back.
var pollOnce = proc.Register("poll once", func(ctx context.Context, p *shm.BytePipe) (*shm.BytePipe, error) {
	return p, p.Poll(ctx)
})

// Python: _TestPoll.test_boundaries — differs: an end is one process's at a time, so the child hands it back
func TestPollBoundaries(t *testing.T) {
	proctest.NoLeaks(t)
	r, w := newBytePipe(t, &shm.PipeOptions{OneWay: true})
	c := start(t, pollOnce, r, nil)
	messages := []string{"first", "second"}
	for _, m := range messages {
		require.NoError(t, w.SendBytes(t.Context(), []byte(m)))
	}
	require.NoError(t, w.Close())
	back, err := c.Result(t.Context())
	require.NoError(t, err)
	atEnd(t, back)
	for _, m := range messages {
		got, err := back.RecvBytes(t.Context(), anyLength)
		require.NoError(t, err)
		require.Equal(t, m, string(got))
	}
}

var sendThree = proc.RegisterTask("send three", func(ctx context.Context, p *shm.BytePipe) error {
	for _, m := range []string{"a", "b", "cd"} {
		if err := p.SendBytes(ctx, []byte(m)); err != nil {
			return err
		}
	}
	return nil
})

// Python: _TestPoll.test_dont_merge
func TestPollDoesNotMerge(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newBytePipe(t, nil)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Poll(now), context.Canceled)
	soon, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	require.ErrorIs(t, a.Poll(soon), context.DeadlineExceeded)

	c := start(t, sendThree, b, nil)
	require.NoError(t, b.Close())
	for _, m := range []string{"a", "b", "cd"} {
		require.NoError(t, a.Poll(t.Context()))
		require.NoError(t, a.Poll(t.Context()))
		require.NoError(t, a.Poll(now))
		got, err := a.RecvBytes(t.Context(), anyLength)
		require.NoError(t, err)
		require.Equal(t, m, string(got))
	}
	require.NoError(t, c.Join(t.Context()))
}
