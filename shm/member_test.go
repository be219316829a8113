package shm

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A process that comes takes an entry that is free, and does not wait until one of a
// dead process may be taken. Where no other is left, a bounded wait tells.
func TestMemberTakesFreeEntry(t *testing.T) {
	proctest.NoLeaks(t)
	inTime(t, func() bool {
		q := testQueue[int](t, 4, nil)
		entries := q.ring.members.entries
		p := startLate(t, lateStage{Queue: q}, func() roster.ID { return ownerOf(&entries[1]) })
		left := entries[1].owner.Load()
		other := hand(t, queuePuppet, q)
		tellPuppet(t, other, "put 1", "ok")
		passedOver := entries[1].owner.Load() == left && entries[2].owner.Load() != 0
		require.Equal(t, 1, getNow(t, q))

		full := fullOf(left)
		_, _, err := full.enter()
		told := errors.Is(err, ErrFull) && strings.Contains(err.Error(), "have threads that did not stop")
		p.Kill(t)
		_, _, err = full.enter()
		require.NoError(t, err)
		require.Same(t, &full.entries[0], full.me)
		return passedOver && told
	})
}

// fullOf returns a table in which all entries are of one process.
func fullOf(owner uint64) *memberTable {
	t := &memberTable{words: new(ringWords), entries: make([]member, memberCount), fenced: make([]atomic.Uint32, memberCount)}
	for i := range t.entries {
		t.entries[i].owner.Store(owner)
	}
	return t
}

// Who waits for the threads of a dead process, for an entry in the table of one
// queue, holds up nobody who opens another queue.
func TestQueueMemberWaitsAlone(t *testing.T) {
	proctest.NoLeaks(t)
	inTime(t, func() bool {
		q := testQueue[int](t, 1, nil)
		entry := &q.ring.members.entries[1]
		p := startLate(t, lateStage{Queue: q}, func() roster.ID { return ownerOf(entry) })
		full := fullOf(entry.owner.Load())
		joined := background(func() error { return full.join(full.words, full.entries) })
		awaitFence(t, joined)
		other := testQueue[int](t, 1, nil)
		waits := len(joined) == 0
		require.NoError(t, other.Close())
		p.Kill(t)
		require.NoError(t, outcome(t, joined))
		return waits
	})
}
