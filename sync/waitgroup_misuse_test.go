package sync_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Misuse panics, and leaves the group unharmed.
func TestWaitGroupMisuse(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	g, us := &s.Group, os.Getpid()
	negative := func(delta, claimed, unclaimed, others int) string {
		return fmt.Sprintf("psync: Add(%d) by process %d to a WaitGroup of which it has claimed %d, nobody %d, others %d: negative", delta, us, claimed, unclaimed, others)
	}
	require.PanicsWithValue(t, negative(-1, 0, 0, 0), g.Done)
	g.Wait()

	other := groupPlayer.Start(t, []*os.File{file})
	g.Add(4)
	do(t, other, "claim 1")
	require.NoError(t, g.Claim(2))
	require.PanicsWithValue(t, negative(-4, 2, 1, 1), func() { g.Add(-4) })
	require.PanicsWithValue(t, fmt.Sprintf("psync: Claim(2) by process %d of a WaitGroup of which nobody has claimed 1", us), func() { _ = g.Claim(2) })
	require.PanicsWithValue(t, "psync: Claim(-1) of a WaitGroup: negative", func() { _ = g.Claim(-1) })
	require.PanicsWithValue(t, "psync: Reset of a WaitGroup that counts 4", g.Reset)
	require.PanicsWithValue(t, "psync: Add(2147483644) to a WaitGroup that counts 4: more than 2^31-1", func() { g.Add(1<<31 - 4) })
	require.NoError(t, g.Claim(0))
	g.Add(0)
	g.Add(-3) // two of its own, and one that nobody has claimed
	require.PanicsWithValue(t, negative(-1, 0, 0, 1), g.Done)
	do(t, other, "done")
	g.Wait()
}

// What a dead process had claimed is given back before Add says that too little
// is left, so that nobody waits for what nobody can take back any more.
func TestWaitGroupAddVoidsDeadFirst(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	victim, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(1)
	do(t, victim, "claim 1")
	victim.Kill(t)
	require.PanicsWithValue(t, fmt.Sprintf("psync: Add(-1) by process %d to a WaitGroup of which it has claimed 0, nobody 0, others 0: negative", os.Getpid()), s.Group.Done)
	ask(t, waiter, "look", psync.ErrMemberDied.Error())
}

// Claims of more processes than there are cells fail; those of the dead make room.
func TestWaitGroupFull(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	const cells, first = 59, 5
	words := wordsOf(&s.Group)
	dead, living := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(3)
	do(t, dead, "claim 1")
	do(t, living, "claim 1")
	for i := 2; i < cells; i++ {
		words[first+i] = words[first+1] // as if they were others'
	}
	words[1] |= cells << 32
	require.ErrorContains(t, s.Group.Claim(1), "59 other processes have claimed a part: no room for one more")
	require.Panics(t, func() { s.Group.Go(func() {}) })
	dead.Kill(t)
	require.NoError(t, s.Group.Claim(1))
	s.Group.Done()
	for i := 1; i < cells; i++ {
		words[first+i] = 0
	}
	require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied, "who made room told of it")
}

// In damaged memory nothing runs out of bounds or for ever.
func TestWaitGroupDamaged(t *testing.T) {
	proctest.NoLeaks(t)
	const seq, state, recordCell, cell = 1, 2, 3, 5
	for _, damage := range []struct {
		word  int
		value uint64
		err   error // of Wait, after what is counted was taken back
	}{
		{seq, 1<<64 - 1, nil},
		{seq, 1 << 63, nil},
		{state, 1<<63 - 1<<32, psync.ErrMemberDied},
		{recordCell, 1<<64 - 1, nil},
		{cell, 1<<64 - 1, psync.ErrMemberDied},
		{cell, 5<<32 | 12345, psync.ErrMemberDied},
	} {
		s, file := stage[groupScene](t)
		victim := groupPlayer.Start(t, []*os.File{file})
		do(t, victim, "add 1", "claim 1", "done")
		words := wordsOf(&s.Group)
		words[0] = words[cell] // mu, held by the victim
		words[damage.word] = damage.value
		victim.Kill(t)
		s.Group.Add(1)
		require.NoError(t, s.Group.Claim(1))
		s.Group.Done()
		require.Equal(t, damage.err, s.Group.WaitContext(t.Context()), "word %d: %#x", damage.word, damage.value)
	}
	s, _ := stage[groupScene](t)
	wordsOf(&s.Group)[state] = 1<<32 - 1
	require.Panics(t, func() { s.Group.Add(1) })
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
}

// The race detector knows that all that was done comes before Wait's return,
// also for those who did not look under the lock.
func TestWaitGroupNoFalseRace(t *testing.T) {
	s, _ := stage[groupScene](t)
	for range 50 {
		data := make([]int, 4)
		var all sync.WaitGroup
		s.Group.Add(len(data))
		for i := range data {
			all.Go(func() {
				data[i]++
				s.Group.Done()
			})
		}
		var sum atomic.Int64
		for range 4 {
			all.Go(func() {
				s.Group.Wait()
				for _, n := range data {
					sum.Add(int64(n))
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 16, sum.Load())
	}
}
