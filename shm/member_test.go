package shm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
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
	for i := 3; i < memberCount; i++ {
		entries[i].owner.Store(left)
	}
	late := memberTable{words: q.ring.words, entries: entries}
	err := late.take(overCtx(t))
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "have threads that did not stop")
	p.Kill(t)
	require.NoError(t, late.take(overCtx(t)))
	require.Same(t, &entries[1], late.me)
	late.me.owner.Store(0)
}
