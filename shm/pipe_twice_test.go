package shm

import (
	"context"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// TestPipeEndSentTwice sends an end to two receivers. The second is refused, and
// the sender's own end is of no use any more: messages would be lost between the
// two.
func TestPipeEndSentTwice(t *testing.T) {
	a, b := testPipe[int](t, nil)
	require.NoError(t, b.end.handOver())
	require.NoError(t, b.end.handOver(), "it has not arrived: as after a failed Start")
	require.NoError(t, b.Send(t.Context(), 1), "it has not arrived")

	// Another process that lives has it now.
	q := testQueue[int](t, 4, nil)
	p := hand(t, queuePuppet, q)
	tellPuppet(t, p, "put 1", "ok")
	var other roster.ID
	for i := range q.ring.members.used() {
		if id := ownerOf(&q.ring.members.entries[i]); id != roster.Me() {
			other = id
		}
	}
	require.NotZero(t, other)
	state := &a.end.words.ends[1].state
	defer state.Store(uint64(roster.Me()))
	state.Store(uint64(other))
	require.ErrorIs(t, b.end.handOver(), ErrClosed)
	require.ErrorIs(t, b.Send(t.Context(), 2), ErrClosed)
	_, err := b.TryRecv()
	require.ErrorIs(t, err, ErrClosed)
}

// heir takes an end when it is told to, receives and sends one message.
var heir = proctest.Register("pipe heir", func(h *proctest.Helper) error {
	h.Say("here")
	if _, err := h.Listen(); err != nil {
		return err
	}
	p, err := take[*Pipe[int]](h)
	if err != nil {
		return err
	}
	h.Say("taken")
	v, err := p.Recv(context.Background())
	if err != nil {
		return err
	}
	h.Say("got " + strconv.Itoa(v))
	return p.Send(context.Background(), v+1)
})

// keepEvent makes waits depend on being woken, for this test.
func keepEvent(t *testing.T) {
	first, last := firstLook, lastLook
	t.Cleanup(func() { firstLook, lastLook = first, last })
	firstLook, lastLook = time.Hour, time.Hour
}

// An end that was sent may be used until it has arrived. Who waits at it then is
// told, and has no part in what comes later: in whatever process it is.
func TestPipeEndArrivesWhileTheOldOneWaits(t *testing.T) {
	for name, arrive := range map[string]func(t *testing.T, b *Pipe[int]) (exchange func(t *testing.T, a *Pipe[int], v int), release func()){
		"in another process": func(t *testing.T, b *Pipe[int]) (func(*testing.T, *Pipe[int], int), func()) {
			p := hand(t, heir, b)
			p.Expect(t, "here")
			return func(t *testing.T, a *Pipe[int], v int) {
				p.Expect(t, "got "+strconv.Itoa(v))
			}, func() { p.Tell(t, "take"); p.Expect(t, "taken") }
		},
		"in this process": func(t *testing.T, b *Pipe[int]) (func(*testing.T, *Pipe[int], int), func()) {
			m := sent(t, b)
			var next *Pipe[int]
			return func(t *testing.T, a *Pipe[int], v int) {
				got, err := next.TryRecv()
				require.NoError(t, err)
				require.Equal(t, v, got)
				require.NoError(t, next.TrySend(v+1))
				ending(t, next)
			}, func() { require.NoError(t, wire.Decode(m, reflect.ValueOf(&next).Elem())) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			for waiter, wait := range map[string]func(b *Pipe[int]) error{
				"recv": func(b *Pipe[int]) error { return errOf(b.Recv(t.Context())) },
				"send": func(b *Pipe[int]) error { return b.Send(t.Context(), 3) },
				"many": func(b *Pipe[int]) error {
					if _, err := await.Any(t.Context(), []await.Source{b}); err != nil {
						return err
					}
					return errOf(b.TryRecv())
				},
			} {
				t.Run(waiter, func(t *testing.T) {
					proctest.NoLeaks(t)
					keepEvent(t)
					a, b := testPipe[int](t, &PipeOptions{Capacity: 2})
					event := itemsOf(b)
					if waiter == "send" {
						event = roomOf(b)
						require.NoError(t, b.TrySend(1))
						require.NoError(t, b.TrySend(2))
					}
					exchange, release := arrive(t, b)
					old := background(func() error { return wait(b) })
					awaitSleeper(t, event)
					release()
					if waiter == "many" { // before anything comes
						require.ErrorIs(t, outcome(t, old), ErrClosed)
					}
					for v := 1; waiter == "send" && v < 3; v++ {
						got, err := a.TryRecv()
						require.NoError(t, err)
						require.Equal(t, v, got)
					}
					require.NoError(t, a.Send(t.Context(), 7))
					exchange(t, a, 7)
					if waiter != "many" {
						require.ErrorIs(t, outcome(t, old), ErrClosed)
					}
					v, err := a.Recv(t.Context())
					require.NoError(t, err)
					require.Equal(t, 8, v, "nothing comes of the old one")
				})
			}
		})
	}
}
