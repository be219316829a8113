package shm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// TestPipeEndSentTwice sends an end to two receivers. The second is refused. The
// sender's own end is of no use as soon as it is sent: messages would be lost
// between the two.
func TestPipeEndSentTwice(t *testing.T) {
	a, b := testPipe[int](t, nil)
	require.NoError(t, b.end.handOver())
	require.NoError(t, b.end.handOver(), "it has not arrived: as after a failed Start")
	require.ErrorIs(t, b.Send(t.Context(), 1), ErrClosed)

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

// keepEvent makes waits depend on being woken, for this test.
func keepEvent(t *testing.T) {
	first, last := firstLook, lastLook
	t.Cleanup(func() { firstLook, lastLook = first, last })
	firstLook, lastLook = time.Hour, time.Hour
}

// Who waits at an end when it is sent is told at once, and has no part in what
// comes later.
func TestPipeEndIsSentWhileSomebodyWaits(t *testing.T) {
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
			old := background(func() error { return wait(b) })
			awaitSleeper(t, event)
			m := sent(t, b)
			require.ErrorIs(t, outcome(t, old), ErrClosed)
			next := arrived[int](t, m)
			for v := 1; waiter == "send" && v < 3; v++ {
				got, err := a.TryRecv()
				require.NoError(t, err)
				require.Equal(t, v, got)
			}
			require.NoError(t, a.Send(t.Context(), 7))
			got, err := next.TryRecv()
			require.NoError(t, err)
			require.Equal(t, 7, got)
			require.NoError(t, next.TrySend(8))
			got, err = a.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, 8, got, "nothing comes of the old one")
		})
	}
}
