package proc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// pairOf returns a connected pair, closed by the test's clean-up.
func pairOf(t testing.TB) (a, b *proc.Conn) {
	t.Helper()
	a, b, err := proc.NewConn()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
	return a, b
}

// receive returns the next value.
func receive[T any](t testing.TB, c *proc.Conn) T {
	t.Helper()
	var v T
	require.NoError(t, c.Recv(t.Context(), &v))
	return v
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// full sends until there is no more room, and returns how many bytes the other
// fill sends a part of a message that the other end does not take.
func fill(t testing.TB, c *proc.Conn) {
	t.Helper()
	for patience := time.Millisecond; ; patience *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := c.SendBytes(ctx, make([]byte, 8<<20))
		cancel()
		if errors.Is(err, syscall.EPIPE) { // an earlier one was sent in part
			return
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

// begun returns when a message is on its way to c.
func begun(t testing.TB, c *proc.Conn) {
	t.Helper()
	ready, err := proc.Wait(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{c}, ready)
}

type person struct {
	Name  string
	Mails []string
}

func TestConnValues(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	ada := person{"Ada", []string{"ada@example.org"}}
	require.NoError(t, a.Send(t.Context(), ada))
	require.NoError(t, a.Send(t.Context(), &ada))
	require.NoError(t, a.Send(t.Context(), []int32{1, 2, 3}))
	require.NoError(t, a.Send(t.Context(), 3.5))
	require.NoError(t, a.Send(t.Context(), ""))
	require.NoError(t, b.Send(t.Context(), [2]bool{true, false}), "the other way at the same time")
	require.Equal(t, ada, receive[person](t, b))
	require.Equal(t, &ada, receive[*person](t, b))
	require.Equal(t, []int32{1, 2, 3}, receive[[]int32](t, b))
	require.InDelta(t, 3.5, receive[float64](t, b), 0)
	require.Empty(t, receive[string](t, b))
	require.Equal(t, [2]bool{true, false}, receive[[2]bool](t, a))

	pid, uid := a.Peer()
	require.Equal(t, []int{os.Getpid(), os.Geteuid()}, []int{pid, uid})
}

// A value of another type is an error, and no garbage; the connection stays.
func TestConnOtherType(t *testing.T) {
	a, b := pairOf(t)
	for _, tt := range []struct{ sent, into any }{
		{int32(1), new(float32(1.5))},
		{[]int32{1}, &[]uint32{2}},
		{[]int32(nil), new("before")},
		{"12345678", new(int64(8))},
		{[8]byte{}, new("before")},
		{person{"Ada", nil}, new("before")},
		{uint64(7), &person{Name: "before"}},
		{person{"Ada", nil}, &[]string{"before"}},
	} {
		require.NoError(t, a.Send(t.Context(), tt.sent))
		err := b.Recv(t.Context(), tt.into)
		require.Error(t, err, "%T as %T", tt.sent, tt.into)
		require.ErrorContains(t, err, strings.TrimPrefix(fmt.Sprintf("%T", tt.into), "*"))
		require.Zero(t, reflect.ValueOf(tt.into).Elem().Interface())
	}
	require.NoError(t, a.Send(t.Context(), 7))
	require.Equal(t, 7, receive[int](t, b))
}

func TestConnRefusesTypes(t *testing.T) {
	a, _ := pairOf(t)
	type step struct{ Done chan int }
	for want, v := range map[string]any{
		"[]proc_test.step[].Done is a chan (chan int): it means nothing in another process": []step{{}},
		"nil has no type": nil,
		"a shared object cannot be copied; use *proc.Conn": struct{ C proc.Conn }{},
		"it is none, but a zero Conn":                      &proc.Conn{},
		"send a file: invalid argument":                    &proc.File{},
	} {
		require.ErrorContains(t, a.Send(t.Context(), v), want)
	}
	require.ErrorContains(t, a.Recv(t.Context(), nil), "into a <nil>: it is no pointer to a variable")
	require.ErrorContains(t, a.Recv(t.Context(), 7), "into a int")
	require.ErrorContains(t, a.Recv(t.Context(), (*int)(nil)), "no pointer to a variable")
	require.ErrorContains(t, a.Recv(t.Context(), new(chan int)), "it means nothing in another process")
}

// What does not fit stays, and nothing is lost.
func TestConnMessagesStay(t *testing.T) {
	a, b := pairOf(t)
	ctx := t.Context()
	require.NoError(t, a.SendBytes(ctx, []byte("hello world")))
	require.NoError(t, a.SendBytes(ctx, nil))

	_, err := b.RecvBytes(ctx, 10)
	require.ErrorIs(t, err, proc.ErrTooLarge)
	require.ErrorContains(t, err, "it has 11 bytes, at most 10 are allowed")
	var s string
	err = b.Recv(ctx, &s)
	require.ErrorIs(t, err, proc.ErrKind)
	require.ErrorContains(t, err, "RecvBytes gets it")
	got, err := b.RecvBytes(ctx, 11)
	require.NoError(t, err)
	require.Equal(t, "hello world", string(got))

	require.ErrorIs(t, b.Recv(ctx, &s), proc.ErrKind)
	ready, err := proc.Wait(ended(), b)
	require.NoError(t, err, "an empty message that was looked at is there")
	require.Len(t, ready, 1)
	got, err = b.RecvBytes(ctx, 0)
	require.NoError(t, err)
	require.Empty(t, got)

	require.NoError(t, a.Send(ctx, "a value"))
	_, err = b.RecvBytes(ctx, 0)
	require.ErrorIs(t, err, proc.ErrKind)
	require.Equal(t, "a value", receive[string](t, b))
	_, err = proc.Wait(ended(), b)
	require.ErrorIs(t, err, context.Canceled)
}

// Close closes the descriptors of a message that was looked at and not taken.
func TestConnCloseWithMessage(t *testing.T) {
	a, b := pairOf(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, a.Send(t.Context(), &proc.File{File: w}))
	require.NoError(t, w.Close())
	_, err = b.RecvBytes(t.Context(), 0)
	require.ErrorIs(t, err, proc.ErrKind)
	require.NoError(t, b.Close())
	_, err = r.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())
	_, err = b.RecvBytes(t.Context(), 0)
	require.ErrorIs(t, err, proc.ErrClosed)
}

// A context ends waiting, and the connection stays good: also in the middle of
// a message, which the next call goes on with.
func TestConnContext(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	var v int
	require.ErrorIs(t, b.Recv(ended(), &v), context.Canceled)
	require.ErrorIs(t, a.Send(ended(), 1), context.Canceled)

	for range 100 { // wherever the end hits
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() { got <- b.Recv(ctx, &v) }()
		cancel()
		require.ErrorIs(t, <-got, context.Canceled)
	}
	require.NoError(t, a.Send(t.Context(), 7))
	require.Equal(t, 7, receive[int](t, b))

	const size = 32 << 20
	sent := make(chan error)
	go func() { sent <- a.SendBytes(t.Context(), bytes.Repeat([]byte("x"), size)) }()
	for {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		got, err := b.RecvBytes(ctx, 0)
		if err == nil {
			require.Equal(t, size, bytes.Count(got, []byte("x")))
			break
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, <-sent)
}

// A message of which a part is out cannot be taken back: both ends say so.
func TestConnSendInPart(t *testing.T) {
	a, b := pairOf(t)
	require.NoError(t, a.Send(t.Context(), "whole"))
	fill(t, a)
	err := a.Send(t.Context(), 1)
	require.ErrorIs(t, err, syscall.EPIPE)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "an earlier message was sent in part only")
	require.NoError(t, b.Send(t.Context(), "the other way"))
	require.Equal(t, "the other way", receive[string](t, a))

	require.Equal(t, "whole", receive[string](t, b))
	for range 2 {
		_, err = b.RecvBytes(t.Context(), 0)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

// If nothing is out, the connection stays good.
func TestConnSendNothing(t *testing.T) {
	a, b := pairOf(t)
	big := make([]byte, 8<<20)
	sent := make(chan error)
	go func() { sent <- a.SendBytes(t.Context(), big) }()
	begun(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() { waits <- a.SendBytes(ctx, big) }() // for its turn
	cancel()
	require.ErrorIs(t, <-waits, context.Canceled)
	got, err := b.RecvBytes(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, got, len(big))
	require.NoError(t, <-sent)
	require.NoError(t, a.Send(t.Context(), 1))
	require.Equal(t, 1, receive[int](t, b))
}

func TestConnEnd(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	require.NoError(t, a.Send(t.Context(), 1))
	require.NoError(t, b.Send(t.Context(), "never read"))
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	require.Equal(t, 1, receive[int](t, b))
	var v int
	for range 2 {
		require.Equal(t, io.EOF, b.Recv(t.Context(), &v))
		_, err := b.RecvBytes(t.Context(), 0)
		require.Equal(t, io.EOF, err)
	}
	for range 2 {
		require.ErrorIs(t, b.Send(t.Context(), 1), syscall.EPIPE)
	}
	require.ErrorIs(t, a.Send(t.Context(), 1), proc.ErrClosed)
	require.ErrorIs(t, a.Recv(t.Context(), &v), proc.ErrClosed)
}

// Close ends the calls that wait.
func TestConnCloseWhileInUse(t *testing.T) {
	proctest.NoLeaks(t)
	for range 20 {
		a, b, err := proc.NewConn()
		require.NoError(t, err)
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				var v int
				if err := a.Recv(t.Context(), &v); !errors.Is(err, proc.ErrClosed) {
					t.Errorf("Recv: %v", err)
				}
			})
			group.Go(func() {
				if err := a.SendBytes(t.Context(), make([]byte, 4<<20)); !errors.Is(err, proc.ErrClosed) {
					t.Errorf("Send: %v", err)
				}
			})
		}
		group.Go(func() {
			if ready, err := proc.Wait(t.Context(), a); err != nil || len(ready) != 1 {
				t.Errorf("Wait: %v %v", ready, err)
			}
		})
		begun(t, b)
		require.NoError(t, a.Close())
		group.Wait()
		require.NoError(t, b.Close())
	}
}

// Messages of many goroutines do not mix, and none is lost.
func TestConnManyGoroutines(t *testing.T) {
	const goroutines, each = 4, 200
	a, b := pairOf(t)
	type message struct {
		From, Number int
		Data         []byte
	}
	var senders, receivers sync.WaitGroup
	for from := range goroutines {
		senders.Go(func() {
			for n := range each {
				if err := a.Send(t.Context(), message{from, n, bytes.Repeat([]byte{byte(from)}, n*100)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := make(map[[2]int]bool)
	for range goroutines {
		receivers.Go(func() {
			for {
				var m message
				switch err := b.Recv(t.Context(), &m); {
				case err == io.EOF:
					return
				case err != nil:
					t.Error(err)
					return
				case bytes.Count(m.Data, []byte{byte(m.From)}) != m.Number*100:
					t.Errorf("message %d of %d is damaged", m.Number, m.From)
				}
				mu.Lock()
				seen[[2]int{m.From, m.Number}] = true
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	require.NoError(t, a.Close())
	receivers.Wait()
	require.Len(t, seen, goroutines*each)
}

// summer adds up the arrays that it is sent, and answers in one of them.
var summer = proc.RegisterTask("conn work", func(ctx context.Context, c *proc.Conn) error {
	for {
		var a *shm.Array[int64]
		switch err := c.Recv(ctx, &a); {
		case err == io.EOF:
			return c.Close()
		case err != nil:
			return err
		}
		a.Do(func(v []int64) {
			for _, x := range v[1:] {
				v[0] += x
			}
		})
		if err := c.Send(ctx, a); err != nil {
			return err
		}
		if err := a.Close(); err != nil {
			return err
		}
	}
})

// A running child gets shared objects in messages, and sends them back.
func TestConnSharedObjects(t *testing.T) {
	proctest.NoLeaks(t)
	c, theirs := pairOf(t)
	p := start(t, summer, theirs, nil)
	require.NoError(t, theirs.Close())
	for n := range 3 {
		a, err := shm.ArrayOf([]int64{0, 1, 2, int64(n)}, nil)
		require.NoError(t, err)
		require.NoError(t, c.Send(t.Context(), a))
		back := receive[*shm.Array[int64]](t, c)
		require.Equal(t, int64(3+n), a.Copy()[0], "the same memory")
		require.Equal(t, a.Copy(), back.Copy())
		require.NoError(t, back.Close())
		require.NoError(t, a.Close())
	}
	require.NoError(t, c.Close())
	require.NoError(t, p.Join(t.Context()))
}
