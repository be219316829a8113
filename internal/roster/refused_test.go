package roster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestUnwatched has a kernel that refuses robust lists: nobody is woken by the
// death, but every look sees it, and the slot is claimed anew.
func TestUnwatched(t *testing.T) {
	tab, path := newTable(t, 1)
	p, id := start(t, path, "set_robust_list")
	s := Look(id)
	require.True(t, s.Alive)
	require.True(t, s.Unwatched)
	require.Equal(t, p.Pid(), s.Pid)
	require.ErrorIs(t, claim(t, tab).err, ErrFull)

	p.Stop(t)
	require.True(t, Look(id).Alive)
	require.NoError(t, p.Signal(unix.SIGKILL))
	until(t, func() bool { return !Look(id).Alive })
	require.Equal(t, s.Seen, s.Word.Load(), "nobody marks it")

	_, next := start(t, path)
	require.Equal(t, makeID(0, 2), next)
	require.False(t, Look(next).Unwatched)
	require.Equal(t, Sight{}, Look(id))
}

// TestPidOfAnother leaves an unwatched slot whose pid belongs to a younger
// process by now.
func TestPidOfAnother(t *testing.T) {
	tab, path := newTable(t, 1)
	p, id := start(t, path, "set_robust_list")
	tab.slots[0].start.Add(1)
	require.False(t, Look(id).Alive)
	_ = Fence(context.Background(), id) // returns, though the process with the pid lives
	own := claim(t, tab)
	require.Equal(t, makeID(0, 2), own.id)
	require.True(t, Look(own.id).Alive)
	p.Tell(t, "return")
	require.NoError(t, p.Wait(t))
}

// TestClaimOfUnwatchedSlot stops the claim of a slot half-way: what the earlier
// owner, which was not watched, left in the slot says nothing of the claimer.
func TestClaimOfUnwatchedSlot(t *testing.T) {
	tab, path := newTable(t, 1)
	p, _ := start(t, path, "set_robust_list")
	p.Kill(t)
	tab.slots[0].live.Store(uint32(unix.Getpid()) | waiters) // step 22
	require.ErrorIs(t, claim(t, tab).err, ErrFull)
}
