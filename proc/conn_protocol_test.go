package proc_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// Frames of a kind or a form that this version does not know match ErrProtocol,
// and go on to do so.
func TestConnProtocol(t *testing.T) {
	for want, frame := range map[string][]byte{
		"the unknown kind 99": {'P', 'M', 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"malformed message":   []byte("GET / HTTP/1.0\r\nAccept: */*"),
		"1025 descriptors":    {'P', 'M', 16, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(want, func(t *testing.T) {
			proctest.NoLeaks(t)
			l, _ := listen(t, "", nil)
			c := raw(t, l.Address())
			_, err := c.Write(append(helloOf(1, 0, 1), frame...))
			require.NoError(t, err)
			accepted := accept(t, l)
			for range 2 {
				var v int
				err := accepted.Recv(t.Context(), &v)
				require.ErrorIs(t, err, proc.ErrProtocol)
				require.ErrorContains(t, err, want)
				_, err = accepted.RecvBytes(t.Context(), 0)
				require.ErrorIs(t, err, proc.ErrProtocol)
			}
		})
	}
}

// A connection that arrives receives no more than the one over which it came,
// whatever its sender says.
func TestConnLimitOfReceiver(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", &proc.ConnOptions{MaxMessage: 1000})
	client := dial(t, l.Address(), nil)
	server := accept(t, l)
	a, b := pairOf(t)
	require.NoError(t, client.Send(t.Context(), b))
	got := receive[*proc.Conn](t, server)
	defer func() { require.NoError(t, got.Close()) }()
	require.NoError(t, a.SendBytes(t.Context(), make([]byte, 1001)))
	_, err := got.RecvBytes(t.Context(), 0)
	require.ErrorIs(t, err, proc.ErrTooLarge)
}

// Texts say who is at the other end. A pair's ends know only who made them.
func TestConnString(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	c := dial(t, l.Address(), nil)
	d := accept(t, l)
	for _, end := range []*proc.Conn{c, d} {
		require.Equal(t, fmt.Sprintf("proc.Conn(to process %d)", os.Getpid()), end.String())
	}
	a, b := pairOf(t)
	want := fmt.Sprintf("the other end of a pair made by process %d", os.Getpid())
	require.Equal(t, "proc.Conn(to "+want+")", a.String())
	require.NoError(t, c.Send(t.Context(), b))
	moved := receive[*proc.Conn](t, d)
	require.Equal(t, a.String(), moved.String())
	require.NoError(t, moved.Close())
	require.Equal(t, "proc.Conn(closed)", moved.String())
	require.NoError(t, b.Close())
	require.ErrorContains(t, a.Send(t.Context(), 1), "proc: send to "+want+": ")
	require.Equal(t, "proc.Conn(closed)", new(proc.Conn).String())
}

// A spoiled value arrives behind a part that was opened, and cannot be decoded.
type spoiled struct {
	Conn  *proc.Conn
	File  *proc.File
	Queue *shm.Queue[int]
	Last  rotten
}

type rotten struct{}

func (rotten) MarshalBinary() ([]byte, error) { return nil, nil }
func (*rotten) UnmarshalBinary([]byte) error  { return errors.New("rotten") }

// What was opened for a message that turns out to be bad is closed: the other end
// of a connection in it sees the end.
func TestConnMessageTurnsBad(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	c, d := pairOf(t)
	q, err := shm.NewQueue[int](1, nil)
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, a.Send(t.Context(), spoiled{Conn: d, File: &proc.File{File: w}, Queue: q}))
	require.NoError(t, errors.Join(d.Close(), w.Close(), q.Detach()))
	var got spoiled
	require.ErrorContains(t, b.Recv(t.Context(), &got), "rotten")
	require.Zero(t, got)
	var v int
	require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
	_, err = r.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())
}

// An end of a pipe whose message was not sent is as before.
func TestConnKeepsWhatWasNotSent(t *testing.T) {
	proctest.NoLeaks(t)
	a, b, err := shm.NewPipe[int](nil)
	require.NoError(t, err)
	c, d := pairOf(t)
	require.ErrorIs(t, c.Send(ended(), b), ended().Err())
	require.NoError(t, d.Close())
	require.Error(t, c.Send(t.Context(), b))
	_, err = square.Start(ended(), 1, nil)
	require.ErrorIs(t, err, ended().Err())
	require.NoError(t, b.Send(t.Context(), 1))
	v, err := a.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.NoError(t, b.Close())
	_, err = a.TryRecv()
	require.Equal(t, io.EOF, err, "a closed end is known at once, one on its way is not")
	require.NoError(t, a.Close())
}

// TestWaitForNil waits for nothing: that is a mistake, and no reason to wait or to
// crash.
func TestWaitForNil(t *testing.T) {
	a, _ := pairOf(t)
	var p *shm.Pipe[int]
	for want, s := range map[string]proc.Source{
		"source 2 of 2 is nil (<nil>)":             nil,
		"source 2 of 2 is nil (*proc.Conn)":        (*proc.Conn)(nil),
		"proc: wait: source 2 of 2 is nil (<nil>)": proc.Readable(nil),
		"source 2 of 2 is nil (*os.File)":          proc.Readable((*os.File)(nil)),
		"source 2 of 2 is nil (*proc.Process)":     (*proc.Process)(nil),
		"source 2 of 2 is nil (*shm.Pipe[int])":    p,
		"source 2 of 2 is nil (*shm.Queue[int])":   (*shm.Queue[int])(nil),
	} {
		_, err := proc.Wait(t.Context(), a, s)
		require.ErrorContains(t, err, want)
	}
}
