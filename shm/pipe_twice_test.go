package shm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/roster"
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
