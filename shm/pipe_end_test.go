package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

func TestPipeClosed(t *testing.T) {
	proctest.NoLeaks(t)
	t.Run("int", func(t *testing.T) { closedEnd(t, 5) })
	t.Run("string", func(t *testing.T) { closedEnd(t, "five") })
}

func closedEnd[T any](t *testing.T, v T) {
	a, b := testPipe[T](t, nil)
	for range 3 { // so that each end knows of room
		require.NoError(t, a.TrySend(v))
		require.NoError(t, b.TrySend(v))
		require.NoError(t, errOf(a.TryRecv()))
	}
	require.NoError(t, a.Close())
	requireBroken(t, b, v)
	for range 3 {
		got, err := b.Recv(t.Context())
		require.NoError(t, err, "what was sent before")
		require.Equal(t, v, got)
	}
	requireOver(t, b)

	require.ErrorIs(t, a.Close(), ErrClosed)
	for name, err := range map[string]error{
		"Send":     a.Send(t.Context(), v),
		"TrySend":  a.TrySend(v),
		"SendAll":  errOf(a.SendAll(t.Context(), []T{v})),
		"Recv":     errOf(a.Recv(t.Context())),
		"TryRecv":  errOf(a.TryRecv()),
		"RecvUpTo": errOf(a.RecvUpTo(t.Context(), make([]T, 1))),
		"encode":   errOf(wire.Encode(reflect.ValueOf(a))),
	} {
		require.ErrorIs(t, err, ErrClosed, name)
	}
	require.NoError(t, b.Close())
	require.ErrorIs(t, b.Close(), ErrClosed)
	require.Empty(t, mappings.byKey)
}

// What did not arrive is as if closed.
func TestPipeZero(t *testing.T) {
	p := new(Pipe[int])
	require.ErrorIs(t, p.TrySend(1), ErrClosed)
	require.ErrorIs(t, errOf(p.TryRecv()), ErrClosed)
	require.ErrorIs(t, p.SendFunc(t.Context(), nil), ErrClosed)
	require.ErrorIs(t, p.RecvFunc(t.Context(), nil), ErrClosed)
	require.ErrorIs(t, p.Close(), ErrClosed)
	require.Equal(t, "shm.Pipe[int](closed)", p.String())
	q := new(Pipe[string])
	require.ErrorIs(t, q.TrySend(""), ErrClosed)
	require.ErrorIs(t, errOf(q.TryRecv()), ErrClosed)
}

// ends are of different kinds.
type ends struct {
	Int   *Pipe[int]
	Text  *Pipe[string]
	Bytes *BytePipe
}

// partner does with the ends that it gets what it is told.
var partner = proctest.Register("pipe partner", func(h *proctest.Helper) error {
	e, err := take[ends](h)
	if err != nil {
		return err
	}
	ctx := context.Background()
	h.Say("ready")
	for {
		line, err := h.Listen()
		if err != nil {
			return err
		}
		var v int
		order := ""
		_, _ = fmt.Sscan(line, &order, &v) // not all have a number
		switch order {
		case "send":
			err = errors.Join(e.Int.Send(ctx, v), e.Text.Send(ctx, fmt.Sprint(v)), e.Bytes.SendBytes(ctx, []byte(fmt.Sprint(v))))
		case "fill":
			for err == nil {
				err = e.Int.TrySend(v)
			}
		case "recv":
			var text string
			var data []byte
			if v, err = e.Int.Recv(ctx); err == nil {
				if text, err = e.Text.Recv(ctx); err == nil {
					data, err = e.Bytes.RecvBytes(ctx, 100)
				}
			}
			h.Say(fmt.Sprint(v, text, string(data)))
		case "close":
			err = errors.Join(e.Int.Close(), e.Text.Close(), e.Bytes.Close())
		case "exit":
			return nil
		}
		h.Say(fmt.Sprint(err))
	}
})

// partnership makes pipes whose other ends another process has.
func partnership(t *testing.T) (own ends, p *proctest.Proc) {
	own, theirs := testEnds(t)
	p = hand(t, partner, theirs)
	p.Expect(t, "ready")
	theirs.close(t)
	return own, p
}

func testEnds(t *testing.T) (own, theirs ends) {
	own.Int, theirs.Int = testPipe[int](t, &PipeOptions{Capacity: 3})
	own.Text, theirs.Text = testPipe[string](t, &PipeOptions{Bytes: 128})
	own.Bytes, theirs.Bytes = testBytePipe(t, nil)
	return own, theirs
}

func (e *ends) close(t *testing.T) {
	require.NoError(t, e.Int.Close())
	require.NoError(t, e.Text.Close())
	require.NoError(t, e.Bytes.Close())
}

// recv receives one message over each pipe.
func (e *ends) recv(t *testing.T, want int) {
	v, err := e.Int.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, v)
	text, err := e.Text.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(want), text)
	data, err := e.Bytes.RecvBytes(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(want), string(data))
}

func (e *ends) send(t *testing.T, v int) {
	require.NoError(t, e.Int.TrySend(v))
	require.NoError(t, e.Text.TrySend(fmt.Sprint(v)))
	require.NoError(t, e.Bytes.SendBytes(t.Context(), []byte(fmt.Sprint(v))))
}

func (e *ends) requireBroken(t *testing.T) {
	requireBroken(t, e.Int, 1)
	requireBroken(t, e.Text, "1")
	requireBroken(t, e.Bytes.pipe, []byte("1"))
}

func (e *ends) requireOver(t *testing.T) {
	requireOver(t, e.Int)
	requireOver(t, e.Text)
	requireOver(t, e.Bytes.pipe)
}

func tell(t *testing.T, p *proctest.Proc, order string, answers ...string) {
	t.Helper()
	p.Tell(t, order)
	for _, a := range answers {
		p.Expect(t, a)
	}
}

func TestPipeToAnotherProcess(t *testing.T) {
	proctest.NoLeaks(t)
	own, p := partnership(t)
	for v := range 20 {
		own.send(t, v)
		tell(t, p, "recv", fmt.Sprintf("%d%d%d", v, v, v), "<nil>")
		tell(t, p, fmt.Sprint("send ", v), "<nil>")
		own.recv(t, v)
	}
	// Both of them wait.
	p.Tell(t, "recv")
	awaitSleeper(t, &own.Int.end.send.words.items)
	own.send(t, 7)
	p.Expect(t, "777")
	p.Expect(t, "<nil>")
	got := background(func() int { v, _ := own.Int.Recv(t.Context()); return v })
	awaitSleeper(t, itemsOf(own.Int))
	tell(t, p, "send 8", "<nil>")
	require.Equal(t, 8, outcome(t, got))
}

// goings are the ways in which the other end's process can leave.
var goings = map[string]func(*testing.T, *proctest.Proc){
	"killed": func(t *testing.T, p *proctest.Proc) { p.Kill(t) },
	"ended":  func(t *testing.T, p *proctest.Proc) { tell(t, p, "exit"); require.NoError(t, p.Wait(t)) },
	"closed": func(t *testing.T, p *proctest.Proc) { tell(t, p, "close", "<nil>") },
}

func TestPipePartnerHasGone(t *testing.T) {
	for name, leave := range goings {
		t.Run(name, func(t *testing.T) {
			t.Run("messages are left", func(t *testing.T) {
				proctest.NoLeaks(t)
				own, p := partnership(t)
				own.send(t, 1) // there is room
				for v := range 3 {
					tell(t, p, fmt.Sprint("send ", v), "<nil>")
				}
				leave(t, p)
				own.requireBroken(t)
				for v := range 3 {
					own.recv(t, v)
				}
				own.requireBroken(t)
				own.requireOver(t)
				own.requireBroken(t)
			})
			t.Run("seen by the receiver first", func(t *testing.T) {
				proctest.NoLeaks(t)
				own, p := partnership(t)
				own.send(t, 1)
				leave(t, p)
				require.Equal(t, io.EOF, errOf(own.Int.Recv(t.Context())))
				require.Equal(t, io.EOF, errOf(own.Text.Recv(t.Context())))
				require.Equal(t, io.EOF, errOf(own.Bytes.Read(make([]byte, 1))))
				own.requireBroken(t)
				own.requireOver(t)
			})
			t.Run("while others wait", func(t *testing.T) {
				proctest.NoLeaks(t)
				own, p := partnership(t)
				require.Equal(t, ErrFull, func() (err error) {
					for err == nil {
						err = own.Int.TrySend(1)
					}
					return err
				}())
				recv := []<-chan error{
					background(func() error { return errOf(own.Int.Recv(t.Context())) }),
					background(func() error { return errOf(own.Text.Recv(t.Context())) }),
					background(func() error { return errOf(own.Bytes.Read(make([]byte, 1))) }),
				}
				send := background(func() error { return own.Int.Send(t.Context(), 1) })
				awaitSleeper(t, itemsOf(own.Int))
				awaitSleeper(t, roomOf(own.Int))
				awaitSleeper(t, &own.Text.end.recv.words.items)
				awaitSleeper(t, &own.Bytes.pipe.end.recv.words.items)
				leave(t, p)
				for _, c := range recv {
					require.Equal(t, io.EOF, outcome(t, c))
				}
				require.ErrorIs(t, outcome(t, send), ErrBroken)
			})
			t.Run("seen by Poll", func(t *testing.T) {
				proctest.NoLeaks(t)
				own, p := partnership(t)
				done := background(func() error { return own.Int.Poll(t.Context()) })
				awaitSleeper(t, itemsOf(own.Int))
				leave(t, p)
				require.NoError(t, outcome(t, done))
				require.Equal(t, io.EOF, errOf(own.Int.TryRecv()))
			})
		})
	}
}

// A stopped process is not gone.
func TestPipePartnerIsStopped(t *testing.T) {
	proctest.NoLeaks(t)
	own, p := partnership(t)
	tell(t, p, "send 1", "<nil>")
	p.Stop(t)
	own.recv(t, 1)
	require.Equal(t, ErrEmpty, errOf(own.Int.TryRecv()))
	require.ErrorIs(t, errOf(own.Int.Recv(overCtx(t))), context.Canceled)
	own.send(t, 2)
	p.Cont(t)
	tell(t, p, "recv", "222", "<nil>")
}

// What was sent in the last moment is received before the end is told, also by
// who learns of both at once.
func TestPipeLastMessage(t *testing.T) {
	proctest.NoLeaks(t)
	for range 100 {
		a, b := testPipe[int](t, nil)
		done := background(func() error { return errOf(a.Recv(t.Context())) })
		awaitSleeper(t, itemsOf(a))
		require.NoError(t, b.TrySend(1))
		require.NoError(t, b.Close())
		require.NoError(t, outcome(t, done))
		require.Equal(t, io.EOF, errOf(a.Recv(t.Context())))
		require.NoError(t, a.Close())
	}
}

func TestPipeForgotten(t *testing.T) {
	proctest.NoLeaks(t)
	warnings := record(t)
	m := func() *mapping {
		a, b, err := NewPipe[int](&PipeOptions{Name: "forgotten"})
		require.NoError(t, err)
		require.NoError(t, b.Close())
		return a.end.mapping
	}()
	require.Equal(t, "name=forgotten", warnings.next(), "and nothing about the closed one")
	require.NoError(t, m.release())
}
