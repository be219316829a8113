package wire

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A deadline may pass after each byte: what has come is kept.
func TestReceiverGoesOn(t *testing.T) {
	a, b := pair(t)
	x, y := pair(t)
	want := &Message{Data: []byte("hello")}
	for range 300 { // more than go with the header
		want.Files = append(want.Files, os.Stdin)
	}
	go func() { _ = Send(x, 7, want) }()
	before := descriptors(t)
	r := NewReceiver(b)
	require.NoError(t, b.SetReadDeadline(time.Unix(1, 0)))
	oob := make([]byte, unix.CmsgSpace(4*batchSize))
	for n := 0; n < headerSize+1+len(want.Data); n++ {
		_, _, err := r.Head()
		require.Equal(t, n >= headerSize+1, err == nil)
		if err == nil {
			_, err = r.Body()
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, n > 0, r.Begun())

		one := make([]byte, 1)
		_, oobn, _, err := y.readMsg(one, oob)
		require.NoError(t, err)
		m := &Message{}
		require.NoError(t, m.take(oob[:oobn]))
		var rights []byte
		if len(m.Files) > 0 {
			var fds []int
			for _, f := range m.Files {
				require.NoError(t, control(f, func(fd uintptr) error { fds = append(fds, int(fd)); return nil }))
			}
			rights = unix.UnixRights(fds...)
		}
		_, err = a.writeMsg(one, rights)
		require.NoError(t, err)
		m.Close()
		require.NoError(t, b.SetReadDeadline(time.Time{}))
		if n < headerSize-1 { // that byte, without waiting for the next
			require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Hour)))
			got, err := r.files(r.header[r.have:][:1])
			require.NoError(t, err)
			r.have += got
			r.begun.Store(true)
		}
		if n < headerSize+len(want.Data) {
			require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Millisecond)))
		}
	}
	kind, length, err := r.Head()
	require.NoError(t, err)
	require.Equal(t, byte(7), kind)
	require.Equal(t, 5, length)
	m, err := r.Body()
	require.NoError(t, err)
	require.Equal(t, "hello", string(m.Data))
	require.Len(t, m.Files, 300)
	require.False(t, r.Begun())
	m.Close()
	require.Equal(t, before, descriptors(t))
}

// A head that nobody takes stays; a receiver that is closed keeps nothing.
func TestReceiverHead(t *testing.T) {
	a, b := pair(t)
	before := descriptors(t)
	for _, data := range []string{"one", ""} {
		require.NoError(t, Send(a, 3, &Message{Data: []byte(data), Files: []*os.File{os.Stdin}}))
	}
	r := NewReceiver(b)
	for _, data := range []string{"one", ""} {
		for range 3 {
			kind, length, err := r.Head()
			require.NoError(t, err)
			require.Equal(t, byte(3), kind)
			require.Equal(t, len(data), length)
			require.True(t, r.Begun())
		}
		if data == "" {
			break
		}
		m, err := r.Body()
		require.NoError(t, err)
		require.Equal(t, data, string(m.Data))
		m.Close()
	}
	require.Equal(t, before+1, descriptors(t))
	r.Close()
	require.Equal(t, before, descriptors(t))
	_, _, err := r.Head()
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = r.Body()
	require.ErrorIs(t, err, os.ErrClosed)
}

// An error stays, and what was received before it is closed.
func TestReceiverFails(t *testing.T) {
	a, b := pair(t)
	before := descriptors(t)
	_, err := a.writeMsg(append(header(1, 10), "abc"...), unix.UnixRights(0))
	require.NoError(t, err)
	r := NewReceiver(b)
	_, length, err := r.Head()
	require.NoError(t, err)
	require.Equal(t, 10, length)
	require.NoError(t, a.CloseWrite())
	for range 3 {
		_, err = r.Body()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, before, descriptors(t))
	}
	_, _, err = r.Head()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// The peer has left without reading: all that it sent comes, then the end.
func TestReceiveAfterReset(t *testing.T) {
	for _, part := range []string{"", "part"} {
		a, b := pair(t)
		require.NoError(t, Send(b, 1, nil))
		require.NoError(t, Send(a, 2, nil))
		want := io.EOF
		if part != "" {
			_, err := a.Write([]byte(part))
			require.NoError(t, err)
			want = io.ErrUnexpectedEOF
		}
		require.NoError(t, a.Close())
		kind, _, err := Recv(b)
		require.NoError(t, err)
		require.Equal(t, byte(2), kind)
		_, _, err = Recv(b)
		require.ErrorIs(t, err, want)
	}
}

func TestWritten(t *testing.T) {
	a, b := pair(t)
	require.NoError(t, Send(a, 1, &Message{Data: []byte("abc")}))
	require.EqualValues(t, headerSize+3, a.Written())
	require.NoError(t, Send(a, 1, &Message{Files: []*os.File{os.Stdin}}))
	require.EqualValues(t, 2*headerSize+3, a.Written())
	require.NoError(t, a.SetWriteDeadline(time.Unix(1, 0)))
	require.Error(t, Send(a, 1, &Message{Files: []*os.File{os.Stdin}}))
	require.Error(t, Send(a, 1, nil))
	require.EqualValues(t, 2*headerSize+3, a.Written(), "nothing more went out")
	for patience := time.Millisecond; a.Written() == 2*headerSize+3; patience *= 2 { // until a part finds its way out
		require.NoError(t, a.SetWriteDeadline(time.Now().Add(patience)))
		require.ErrorIs(t, Send(a, 1, &Message{Data: make([]byte, 8<<20)}), os.ErrDeadlineExceeded)
	}
	require.NoError(t, b.Close())
}

// Two programs that do not agree about a type notice.
func TestHolds(t *testing.T) {
	a, b := pair(t)
	types := []reflect.Type{
		reflect.TypeFor[int32](), reflect.TypeFor[float32](), reflect.TypeFor[[4]uint8](), reflect.TypeFor[struct{ A int32 }](), reflect.TypeFor[struct{ B int32 }](),
		reflect.TypeFor[string](), reflect.TypeFor[[]int32](), reflect.TypeFor[[]float32](), reflect.TypeFor[[]string](),
	}
	for _, sent := range types {
		m, err := Encode(reflect.Zero(sent))
		require.NoError(t, err)
		require.NoError(t, Send(a, 1, m))
		_, got, err := Recv(b)
		require.NoError(t, err)
		for _, t2 := range types {
			err := got.Holds(t2)
			if t2 == sent {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrFormat)
			require.ErrorContains(t, err, "it holds no "+t2.String()+", but a value of another type")
		}
	}
	// Names of types do not count.
	type celsius int32
	m, err := Encode(reflect.ValueOf(celsius(7)))
	require.NoError(t, err)
	require.NoError(t, m.Holds(reflect.TypeFor[int32]()))
}

// Large data comes whole, in as much memory as has come.
func TestReceiverMemory(t *testing.T) {
	a, b := pair(t)
	data := bytes.Repeat([]byte("0123456789"), 1<<20)
	sent := make(chan error)
	go func() { sent <- Send(a, 1, &Message{Data: data}) }()
	_, m, err := Recv(b)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.True(t, bytes.Equal(data, m.Data))
	require.Equal(t, len(data), cap(m.Data))
}
