package spin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Rests grow while a stream is dense, up to the longest, and shrink when it is not.
func TestPace(t *testing.T) {
	var p Pace
	require.EqualValues(t, rest, p.pauses())
	for _, step := range []struct {
		came int
		want uint32
	}{
		{dense, 2 * rest},
		{1000, 4 * rest},
		{0, 4 * rest}, // something else has happened
		{dense - 1, 2 * rest},
		{2, rest},
		{2, rest}, // never shorter
		{dense, 2 * rest},
		{dense, 4 * rest},
		{dense, 8 * rest},
		{dense, 16 * rest},
		{dense, 32 * rest},
		{dense, longRest},
		{dense, longRest},
		{1, rest}, // somebody may wait for the answer
	} {
		p.Came(step.came)
		require.Equal(t, step.want, p.pauses(), "%d", step.came)
	}
}

// The longest rest is the first thing that a wait does, and its look finds what has come.
func TestPaceRestsBeforeItLooks(t *testing.T) {
	if room == 0 {
		return // nobody spins on one processor
	}
	var b Budget
	var p Pace
	for range 10 {
		p.Came(dense)
	}
	looks := 0
	require.True(t, p.Until(&b, func() bool { looks++; return true }))
	require.Equal(t, 1, looks)
	require.Greater(t, uint32(eager), uint32(longRest), "after the longest rest one looks often")
}
