package spin

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// never is what is looked for in vain.
func never() bool { return false }

func TestUntilGivesUp(t *testing.T) {
	var b Budget
	looks := 0
	found := b.Until(func() bool { looks++; return false })
	require.False(t, found)
	if room > 0 {
		require.Greater(t, looks, 5)
		require.Less(t, looks, most)
	}
	require.Zero(t, spinners.Load())
}

func TestUntilSeesTheChange(t *testing.T) {
	if room == 0 {
		return // nobody spins on one processor
	}
	var b Budget
	for nth := range 10 {
		looks := 0
		require.True(t, b.Until(func() bool { looks++; return looks > nth }))
		require.Equal(t, nth+1, looks, "it looks no more once it has seen it")
		require.Zero(t, spinners.Load())
	}
}

// There is a rest before the first look, then a look after each pause, and when
// that was in vain for long the pauses double.
func TestSchedule(t *testing.T) {
	spent, n := uint32(0), uint32(rest)
	var pauses []uint32
	for ; spent < most; n = next(spent, n) {
		spent += n
		pauses = append(pauses, n)
	}
	require.EqualValues(t, rest, pauses[0])
	for _, n := range pauses[1 : 1+eager-rest] {
		require.EqualValues(t, 1, n)
	}
	require.Equal(t, []uint32{2, 4, 8, 16, 32, 64, 64}, pauses[1+eager-rest:][:7])
	require.Equal(t, uint32(longest), pauses[len(pauses)-1])
}

// A wait with the smallest budget is eager to its end.
func TestLeastIsEager(t *testing.T) {
	if room == 0 {
		return
	}
	var b Budget
	b.pauses.Store(least)
	looks := 0
	require.False(t, b.Until(func() bool { looks++; return false }))
	require.EqualValues(t, 1+least-rest, looks)
}

// A budget falls to its least while looking is in vain, and grows again when it
// is not, up to the most.
func TestBudget(t *testing.T) {
	if room == 0 {
		return
	}
	var b Budget
	before := uint32(most)
	for range 10 {
		require.False(t, b.Until(never))
		now := b.pauses.Load()
		require.Equal(t, max(before/2, least), now)
		before = now
	}
	require.EqualValues(t, least, before)
	for range 10 {
		require.True(t, b.Until(func() bool { return true }))
		now := b.pauses.Load()
		require.Equal(t, min(2*before, most), now)
		before = now
	}
	require.EqualValues(t, most, before)
}

// The smaller the budget, the fewer looks.
func TestBudgetCounts(t *testing.T) {
	if room == 0 {
		return
	}
	looks := func(b *Budget) (n int) {
		b.Until(func() bool { n++; return false })
		return n
	}
	var fresh, taught Budget
	taught.pauses.Store(least)
	require.Greater(t, looks(&fresh), looks(&taught))
}

// One processor is left to who is to bring the change about: nobody looks if as
// many spin already as there is room for.
func TestRoom(t *testing.T) {
	require.EqualValues(t, runtime.NumCPU()-1, room)
	spinners.Add(room)
	defer spinners.Add(-room)
	var b Budget
	require.False(t, b.Until(func() bool { t.Error("it looked"); return true }))
	require.Zero(t, b.pauses.Load(), "nothing was learned")
	require.Equal(t, room, spinners.Load())
}
