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
