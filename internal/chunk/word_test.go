package chunk

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Each field comes back, whatever the others are.
func TestWordFields(t *testing.T) {
	states := []State{Free, Ready, Running, Done, Stopped, Killed}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(states).Draw(rt, "state")
		worker := rapid.IntRange(0, MaxWorkers-1).Draw(rt, "worker")
		done, limit := rapid.IntRange(0, 1<<countBits-1).Draw(rt, "done"), rapid.IntRange(0, 1<<countBits-1).Draw(rt, "limit")
		tag := rapid.Uint32Range(0, TagMask).Draw(rt, "tag")
		w := NewWord(s, worker, done, limit, tag)
		requireWord(rt, w, s, worker, done, limit, tag)

		s, worker = rapid.SampledFrom(states).Draw(rt, "next state"), rapid.IntRange(0, MaxWorkers-1).Draw(rt, "next worker")
		done = rapid.IntRange(0, 1<<countBits-1).Draw(rt, "next done")
		requireWord(rt, w.with(s, worker, done), s, worker, done, limit, tag)
	})
	requireWord(t, 0, Free, 0, 0, 0, 0)
	requireWord(t, ^Word(0), 7, MaxWorkers-1, 1<<countBits-1, 1<<countBits-1, TagMask)
	require.LessOrEqual(t, MaxItems, 1<<countBits-1)
}

func requireWord(t require.TestingT, w Word, s State, worker, done, limit int, tag uint32) {
	require.Equal(t, s, w.State())
	require.Equal(t, worker, w.Worker())
	require.Equal(t, done, w.Done())
	require.Equal(t, limit, w.Limit())
	require.Equal(t, tag, w.Tag())
}

func TestWordString(t *testing.T) {
	require.Equal(t, "chunk 9 running, 3 of 7 items, worker 5", NewWord(Running, 5, 3, 7, 9).String())
	require.Equal(t, "chunk 9 in state 6", NewWord(6, 5, 3, 7, 9).String())
}
