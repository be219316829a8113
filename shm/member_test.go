package shm

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// emigrant is a member of a queue that becomes another program: it is dead, and
// for a second nothing tells its threads from such as will go on.
var emigrant = proctest.Register("queue emigrant", func(h *proctest.Helper) error {
	if _, err := take[*Queue[int]](h); err != nil {
		return err
	}
	return unix.Exec("/bin/sh", []string{"sh", "-c", "echo gone; read line"}, os.Environ())
})

// A process that comes takes an entry that is free, and waits for nobody. Nor does
// one that only tries.
func TestMemberTakesFreeEntry(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 4, nil)
	entries := q.ring.members.entries
	p := hand(t, emigrant, q)
	p.Expect(t, "gone")
	left := entries[1].owner.Load()
	require.NotZero(t, left)
	other := hand(t, queuePuppet, q)
	tellPuppet(t, other, "put 1", "ok")
	require.Equal(t, left, entries[1].owner.Load(), "it may have threads that still run")
	require.NotZero(t, entries[2].owner.Load())
	require.Equal(t, 1, getNow(t, q))

	// Where no other is left, a bounded wait tells.
	full := fullOf(left)
	_, _, err := full.enter()
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "have threads that did not stop")
	p.Kill(t)
	_, _, err = full.enter()
	require.NoError(t, err)
	require.Same(t, &full.entries[0], full.me)
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
