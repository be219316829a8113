package shm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

func testBytePipe(t testing.TB, o *PipeOptions) (a, b *BytePipe) {
	t.Helper()
	a, b, err := NewBytePipe(o)
	require.NoError(t, err)
	ending(t, a)
	ending(t, b)
	return a, b
}

func TestBytePipeKeepsBoundaries(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, nil)
	messages := []string{"hello", "", "a", "", "", strings.Repeat("x", 100_000), "bye"}
	for _, m := range messages {
		require.NoError(t, a.SendBytes(t.Context(), []byte(m)))
	}
	for i, m := range messages {
		var got []byte
		var err error
		switch i % 3 {
		case 0:
			got, err = b.RecvBytes(t.Context(), len(m))
		case 1:
			buffer := make([]byte, 200_000)
			n, e := b.RecvInto(t.Context(), buffer)
			got, err = buffer[:n], e
		default:
			err = b.RecvFunc(t.Context(), func(message []byte) error { got = bytes.Clone(message); return nil })
		}
		require.NoError(t, err)
		require.Equal(t, m, string(got))
	}
	_, err := b.RecvBytes(overCtx(t), 10)
	require.Equal(t, context.Canceled, err)
}

// A message for which the room is too small stays.
func TestBytePipeShortBuffer(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Name: "short"})
	require.NoError(t, a.SendBytes(t.Context(), []byte("hello world")))
	for range 3 {
		_, err := b.RecvBytes(t.Context(), 10)
		require.ErrorIs(t, err, io.ErrShortBuffer)
		require.EqualError(t, err, `shm: pipe "short": receive: short buffer: a message of 11 bytes, room for 10`)
		require.ErrorIs(t, errOf(b.RecvBytes(t.Context(), -1)), io.ErrShortBuffer)
		n, err := b.RecvInto(t.Context(), make([]byte, 3))
		require.Zero(t, n)
		require.ErrorIs(t, err, io.ErrShortBuffer)
		require.ErrorContains(t, err, "a message of 11 bytes, room for 3")
		require.ErrorContains(t, errOf(b.RecvInto(t.Context(), nil)), "room for 0")
		require.NoError(t, b.Poll(t.Context()))
	}
	got, err := b.RecvBytes(t.Context(), 11)
	require.NoError(t, err)
	require.Equal(t, "hello world", string(got))
}

func TestBytePipeTooBig(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Bytes: 64, Name: "narrow"})
	text := "a message of 25 bytes; the ring has 64, and the biggest message has 24"
	require.ErrorContains(t, a.SendBytes(t.Context(), make([]byte, 25)), text)
	never := func([]byte) error { return errors.New("it was called") }
	require.ErrorContains(t, a.SendFunc(t.Context(), 25, never), text)
	require.ErrorIs(t, a.SendFunc(t.Context(), -1, never), ErrSize)
	require.NoError(t, a.SendFunc(t.Context(), 24, func(m []byte) error { require.Len(t, m, 24); require.Equal(t, 24, cap(m)); return nil }))
	got, err := b.RecvBytes(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, got, 24)
}

func TestBytePipeFuncs(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Bytes: 256})
	wrong := errors.New("on purpose")
	for i := range 50 { // around the end
		text := strings.Repeat("y", i)
		require.Equal(t, wrong, a.SendFunc(t.Context(), 70, func([]byte) error { return wrong }))
		require.PanicsWithValue(t, wrong, func() { _ = a.SendFunc(t.Context(), 70, func([]byte) error { panic(wrong) }) })
		require.NoError(t, a.SendFunc(t.Context(), i, func(m []byte) error { copy(m, text); return nil }))
		require.Equal(t, wrong, b.RecvFunc(t.Context(), func([]byte) error { return wrong }))
		require.PanicsWithValue(t, wrong, func() { _ = b.RecvFunc(t.Context(), func([]byte) error { panic(wrong) }) })
		require.NoError(t, b.RecvFunc(t.Context(), func(m []byte) error { require.Equal(t, text, string(m)); return nil }))
	}
	require.Equal(t, context.Canceled, b.RecvFunc(overCtx(t), nil))
}

// Read returns messages in pieces, and passes over empty ones; the other methods
// get what it has left.
func TestBytePipeRead(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, nil)
	for _, m := range []string{"", "hello", "", "", "world", "again"} {
		require.NoError(t, a.SendBytes(t.Context(), []byte(m)))
	}
	read := func(n int) string {
		buffer := make([]byte, n)
		n, err := b.Read(buffer)
		require.NoError(t, err)
		return string(buffer[:n])
	}
	require.Empty(t, read(0))
	require.Equal(t, "he", read(2))
	_, err := b.RecvBytes(t.Context(), 2)
	require.ErrorContains(t, err, "a message of 3 bytes, room for 2")
	_, err = wire.Encode(reflect.ValueOf(b))
	require.ErrorContains(t, err, "2 bytes of a message were read and others not")
	require.Equal(t, "llo", read(3))
	require.Equal(t, "world"[:1], read(1))
	require.Equal(t, "orld", read(100), "messages are not merged")
	require.Equal(t, "ag", read(2))
	got, err := b.RecvBytes(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, "ain", string(got))

	require.NoError(t, a.SendBytes(t.Context(), nil))
	require.NoError(t, a.Close())
	n, err := b.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)
	require.NoError(t, b.Close())
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrClosed)
	_, err = b.Write([]byte("x"))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, b.Close(), ErrClosed)
	require.Equal(t, "shm.BytePipe(closed)", b.String())
}

// It is a stream for all that wants one.
func TestBytePipeStream(t *testing.T) {
	proctest.NoLeaks(t)
	text := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz\n", 3000)
	for name, tt := range map[string]struct {
		write func(w io.Writer) error
		read  func(r io.Reader) (string, error)
	}{
		"io.Copy": {
			func(w io.Writer) error { _, err := io.Copy(w, strings.NewReader(text)); return err },
			func(r io.Reader) (string, error) {
				var b strings.Builder
				_, err := io.Copy(&b, r)
				return b.String(), err
			},
		},
		"one Write": {
			func(w io.Writer) error { n, err := w.Write([]byte(text)); return errors.Join(err, wantLen(n, text)) },
			func(r io.Reader) (string, error) { b, err := io.ReadAll(r); return string(b), err },
		},
		"byte by byte": {
			func(w io.Writer) error {
				_, err := io.Copy(w, iotest.OneByteReader(strings.NewReader(text)))
				return err
			},
			func(r io.Reader) (string, error) {
				b, err := io.ReadAll(iotest.OneByteReader(r))
				return string(b), err
			},
		},
		"bufio": {
			func(w io.Writer) error {
				b := bufio.NewWriterSize(w, 100)
				_, err := b.WriteString(text)
				return errors.Join(err, b.Flush())
			},
			func(r io.Reader) (string, error) {
				var all strings.Builder
				lines := bufio.NewScanner(r)
				for lines.Scan() {
					fmt.Fprintln(&all, lines.Text())
				}
				return all.String(), lines.Err()
			},
		},
		"empty ones between": {
			func(w io.Writer) (err error) {
				for i := 0; i < len(text) && err == nil; i += 37 {
					_, err = w.Write([]byte(text[i : i+37]))
					err = errors.Join(err, w.(*BytePipe).SendBytes(context.Background(), nil))
				}
				return err
			},
			func(r io.Reader) (string, error) { b, err := io.ReadAll(r); return string(b), err },
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := testBytePipe(t, &PipeOptions{Bytes: 1024})
			done := background(func() error { return errors.Join(tt.write(a), a.Close()) })
			got, err := tt.read(b)
			require.NoError(t, err)
			require.Equal(t, len(text), len(got))
			require.True(t, text == got, "it is another text")
			require.NoError(t, outcome(t, done))
		})
	}
	a, b := testBytePipe(t, nil)
	require.NoError(t, a.SendBytes(t.Context(), []byte(text)))
	require.NoError(t, a.Close())
	require.NoError(t, iotest.TestReader(b, []byte(text)))
}

func wantLen(n int, text string) error {
	if n != len(text) {
		return fmt.Errorf("%d bytes of %d", n, len(text))
	}
	return nil
}

// Write says how much was sent when the reader leaves.
func TestBytePipeReaderLeaves(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Bytes: 1024})
	type written struct {
		n   int
		err error
	}
	done := background(func() written { n, err := a.Write(make([]byte, 5000)); return written{n, err} })
	awaitSleeper(t, &a.pipe.end.send.words.room)
	require.NoError(t, b.Close())
	w := outcome(t, done)
	require.ErrorIs(t, w.err, ErrBroken)
	require.Positive(t, w.n)
	require.Less(t, w.n, 1024)
	n, err := a.Write([]byte("x"))
	require.Zero(t, n)
	require.ErrorIs(t, err, ErrBroken)
}

func TestBytePipeOneWay(t *testing.T) {
	proctest.NoLeaks(t)
	receiver, sender := testBytePipe(t, &PipeOptions{OneWay: true})
	require.ErrorIs(t, errOf(receiver.Write([]byte("x"))), ErrDirection)
	require.ErrorIs(t, receiver.SendBytes(t.Context(), nil), ErrDirection)
	require.ErrorIs(t, receiver.SendFunc(t.Context(), 1, nil), ErrDirection)
	require.ErrorIs(t, errOf(sender.Read(make([]byte, 1))), ErrDirection)
	require.ErrorIs(t, errOf(sender.RecvBytes(t.Context(), 1)), ErrDirection)
	require.ErrorIs(t, errOf(sender.RecvInto(t.Context(), nil)), ErrDirection)
	_, err := sender.Write([]byte("text"))
	require.NoError(t, err)
	require.NoError(t, sender.Close())
	got, err := io.ReadAll(receiver)
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
}

// Close ends the calls that wait at the end, as with a net.Conn.
func TestBytePipeClosedWhileItWaits(t *testing.T) {
	for name, wait := range map[string]func(p *BytePipe) error{
		"Read":  func(p *BytePipe) error { return errOf(p.Read(make([]byte, 1))) },
		"Write": func(p *BytePipe) error { return errOf(p.Write(make([]byte, 5000))) },
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			keepEvent(t)
			a, _ := testBytePipe(t, &PipeOptions{Bytes: 1024})
			event := &a.pipe.end.recv.words.items
			if name == "Write" {
				event = &a.pipe.end.send.words.room
			}
			done := background(func() error { return wait(a) })
			awaitSleeper(t, event)
			require.NoError(t, a.Close())
			require.ErrorIs(t, outcome(t, done), ErrClosed)
			require.ErrorIs(t, wait(a), ErrClosed)
		})
	}
}

// Close beside calls that do not wait.
func TestBytePipeClosedWhileItIsUsed(t *testing.T) {
	for range 50 {
		a, b := testBytePipe(t, &PipeOptions{Bytes: 64})
		reading := background(func() error { _, err := io.Copy(io.Discard, b); return err })
		writing := background(func() error {
			for {
				if _, err := a.Write(make([]byte, 5)); err != nil {
					return err
				}
			}
		})
		require.NoError(t, b.Close())
		require.ErrorIs(t, outcome(t, reading), ErrClosed)
		require.ErrorIs(t, outcome(t, writing), ErrBroken)
		require.NoError(t, a.Close())
	}
}
