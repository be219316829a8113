package shm

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// arrived decodes a message with an end of a pipe.
func arrived[T any](t testing.TB, m *wire.Message) (p *Pipe[T]) {
	t.Helper()
	require.NoError(t, wire.Decode(m, reflect.ValueOf(&p).Elem()))
	ending(t, p)
	return p
}

// A message that was seen at an end, and not received, is its receiver's when the
// end was sent.
func TestPipeSentEndKeepsNothing(t *testing.T) {
	wrong := errors.New("on purpose")
	for name, look := range map[string]func(t *testing.T, b *Pipe[int]){
		"Poll": func(t *testing.T, b *Pipe[int]) { _ = b.Poll(t.Context()) },
		"RecvFunc": func(t *testing.T, b *Pipe[int]) {
			require.Error(t, b.RecvFunc(t.Context(), func(*int) error { return wrong }))
		},
	} {
		for _, before := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := testPipe[int](t, nil)
				require.NoError(t, a.TrySend(1))
				require.NoError(t, a.TrySend(2))
				if before {
					look(t, b)
				}
				m := sent(t, b)
				if !before {
					look(t, b)
				}
				next := arrived[int](t, m)
				got, err := next.TryRecv()
				require.NoError(t, err)
				require.Equal(t, 1, got)
				require.ErrorIs(t, errOf(b.TryRecv()), ErrClosed)
				got, err = next.TryRecv()
				require.NoError(t, err)
				require.Equal(t, 2, got)
			})
		}
	}
}

// A position that is damaged is no message, also not for who has found out
// before that the sender is dead and has not stopped.
func TestPipeDamagedByTheDead(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testPipe[int](t, &PipeOptions{Capacity: 4})
	p := startLate(t, lateStage{Pipe: theirs}, func() roster.ID { return roster.ID(own.end.otherState() & roster.Mask) })
	require.NoError(t, theirs.Close())
	own.end.recv.words.tail.Store(uint64(position(0).plus(5, 5)))
	for range 2 {
		require.Equal(t, ErrEmpty, errOf(own.TryRecv()))
	}
	p.Kill(t)
	require.ErrorIs(t, errOf(own.Recv(t.Context())), ErrCorrupt)
}

// An end is in one place.
func TestPipeEndIsReceivedOnce(t *testing.T) {
	t.Run("twice in one message", func(t *testing.T) {
		proctest.NoLeaks(t)
		a, b := testPipe[int](t, nil)
		_, err := wire.Encode(reflect.ValueOf([]*Pipe[int]{b, b}))
		require.ErrorIs(t, err, ErrClosed)
		requireHere(t, a, b)
	})
	t.Run("two messages", func(t *testing.T) {
		proctest.NoLeaks(t)
		a, b := testPipe[int](t, nil)
		first, second := sent(t, b), sent(t, b)
		next := arrived[int](t, first)
		var other *Pipe[int]
		require.ErrorIs(t, wire.Decode(second, reflect.ValueOf(&other).Elem()), ErrClosed)
		require.NoError(t, a.TrySend(1))
		got, err := next.TryRecv()
		require.NoError(t, err)
		require.Equal(t, 1, got)
	})
	t.Run("the first one was closed", func(t *testing.T) {
		proctest.NoLeaks(t)
		a, b := testPipe[int](t, nil)
		first, second := sent(t, b), sent(t, b)
		require.NoError(t, arrived[int](t, first).Close())
		var other *Pipe[int]
		require.ErrorIs(t, wire.Decode(second, reflect.ValueOf(&other).Elem()), ErrClosed)
		requireOver(t, a)
	})
}

// An end that its receiver has closed is closed: it cannot be sent anew.
func TestPipeEndClosedByItsReceiver(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	require.NoError(t, arrived[int](t, sent(t, b)).Close())
	_, err := wire.Encode(reflect.ValueOf(b))
	require.ErrorIs(t, err, ErrClosed)
	requireOver(t, a)
}

// An end that was sent is used by one of two: neither does its old owner receive
// what the new one has, nor overwrite what that has sent.
func TestPipeSentEndIsNotUsed(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, a, b *Pipe[int], m *wire.Message) error{
		"RecvFunc": func(t *testing.T, a, b *Pipe[int], m *wire.Message) error {
			require.NoError(t, a.TrySend(7))
			return b.RecvFunc(t.Context(), func(*int) error {
				require.Equal(t, 7, first(t, arrived[int](t, m)))
				return nil
			})
		},
		"SendFunc": func(t *testing.T, a, b *Pipe[int], m *wire.Message) error {
			return b.SendFunc(t.Context(), func(v *int) error {
				require.NoError(t, arrived[int](t, m).TrySend(7))
				*v = 8
				require.Equal(t, 7, first(t, a))
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			a, b := testPipe[int](t, nil)
			require.ErrorIs(t, use(t, a, b, sent(t, b)), ErrClosed)
		})
	}
}

func first(t testing.TB, p *Pipe[int]) int {
	t.Helper()
	v, err := p.TryRecv()
	require.NoError(t, err)
	return v
}

// An end goes on its way only when a call that uses it has ended. That is so for
// who receives a message, and who sends one.
func TestPipeEndIsSentAfterCalls(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, b *Pipe[int], in func()) error{
		"RecvFunc": func(t *testing.T, b *Pipe[int], in func()) error {
			return b.RecvFunc(t.Context(), func(*int) error { in(); return nil })
		},
		"SendFunc": func(t *testing.T, b *Pipe[int], in func()) error {
			return b.SendFunc(t.Context(), func(v *int) error { in(); *v = 5; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			a, b := testPipe[int](t, nil)
			require.NoError(t, a.TrySend(1))
			require.NoError(t, a.TrySend(2))
			given := make(chan (<-chan *wire.Message), 1)
			require.NoError(t, use(t, b, func() {
				given <- background(func() *wire.Message { return sent(t, b) })
				eventually(t, "it is being sent", func() bool { return !b.end.usable() })
				require.Zero(t, b.end.words.ends[1].state.Load()&endTransit)
			}))
			m := outcome(t, <-given)
			next := arrived[int](t, m)
			if name == "RecvFunc" {
				require.Equal(t, 2, first(t, next))
				return
			}
			require.NoError(t, next.TrySend(6))
			require.Equal(t, 5, first(t, a))
			require.Equal(t, 6, first(t, a))
		})
	}
}

// Who sends an end in the midst of a call that uses it is refused, and has it
// still.
func TestPipeEndIsSentInACall(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	require.NoError(t, b.SendFunc(t.Context(), func(v *int) error {
		*v = 1
		_, err := wire.Encode(reflect.ValueOf(b))
		require.ErrorContains(t, err, "a call that uses this end did not return within 2s")
		return nil
	}))
	require.Equal(t, 1, first(t, a))
	requireHere(t, a, b)
}

// The memory of an end that is closed in the midst of a call that uses it stays
// mapped.
func TestPipeClosedInACall(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	require.NoError(t, a.TrySend(1))
	require.NoError(t, b.RecvFunc(t.Context(), func(v *int) error {
		require.ErrorContains(t, b.Close(), "a call that uses this end did not return within 2s")
		require.Equal(t, 1, *v)
		return nil
	}))
	require.ErrorIs(t, b.Close(), ErrClosed)
	requireBroken(t, a, 1)
	require.NoError(t, b.end.mapping.release())
}
