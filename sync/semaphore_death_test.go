package sync_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// The first in line is killed; so is one behind it. Nobody waits for them.
func TestSemaphoreWaiterKilled(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, _ *counter, s semaphore, kind string, file *os.File) {
		require.True(t, s.TryAcquire(2))
		var line [3]*proctest.Proc
		for i := range line {
			line[i] = guest.Start(t, []*os.File{file})
			tell(t, line[i], "acquire", kind, []int{3, 3, 1}[i])
			awaitTrueSleeper(t, line[i].Pid())
		}
		line[1].Kill(t)
		line[0].Kill(t)
		line[2].Expect(t, "ok")
		require.NoError(t, s.Release(2))
		require.True(t, s.TryAcquire(2) || s.Acquire(t.Context(), 2) == nil)
	})
}

// What CPython's semaphores do not survive: their holder is killed. The permits of
// the plain one are gone; but anybody may put new ones in.
func TestSemaphoreHolderKilled(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Sem.Init(1, 1))
	victim, waiter := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, victim, "acquire", "semaphore", 1, "ok")
	tell(t, waiter, "acquire", "semaphore", 1)
	awaitTrueSleeper(t, waiter.Pid())
	victim.Kill(t)
	require.Zero(t, c.Sem.Value())
	require.NoError(t, c.Sem.Release(1))
	waiter.Expect(t, "ok")
}

// A killed holder's permits come back at once, to who sleeps as to who comes.
func TestBoundedSemaphoreHolderKilled(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(3))
	victim, waiter := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	for range 3 {
		see(t, victim, "acquire", "bounded", 1, "ok")
	}
	tell(t, waiter, "acquire", "bounded", 2)
	awaitTrueSleeper(t, waiter.Pid())
	victim.Kill(t)
	waiter.Expect(t, "ok")
	require.Equal(t, 1, c.Bound.Value())
	require.NoError(t, c.Bound.Acquire(t.Context(), 1))

	waiter.Kill(t)
	require.Equal(t, 2, c.Bound.Value(), "free, even before anybody has taken them")
	require.True(t, c.Bound.TryAcquire(2))
	require.Zero(t, c.Bound.Value())
}

// One after the other is killed with all permits in hand while somebody waits:
// neither the death of the holder nor that of the one who watches it is missed.
func TestBoundedSemaphoreManyDeaths(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(2))
	guests := make([]*proctest.Proc, 8)
	for i := range guests {
		guests[i] = guest.Start(t, []*os.File{file})
	}
	see(t, guests[0], "acquire", "bounded", 2, "ok")
	for i, g := range guests[1:] {
		tell(t, g, "acquire", "bounded", 2)
		if i%2 == 0 { // every other one sleeps when the holder dies
			awaitTrueSleeper(t, g.Pid())
		}
		guests[i].Kill(t)
		g.Expect(t, "ok")
	}
	require.Zero(t, c.Bound.Value())
}

// A holder that ends in an orderly way without releasing is as dead as another.
func TestBoundedSemaphoreHolderExits(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(1))
	victim := guest.Start(t, []*os.File{file})
	see(t, victim, "acquire", "bounded", 1, "ok")
	victim.Tell(t, "quit")
	require.NoError(t, victim.Wait(t))
	require.NoError(t, c.Bound.Acquire(t.Context(), 1))
}

// A stopped holder is alive.
func TestSemaphoreHolderStopped(t *testing.T) {
	forSemaphores(t, 1, func(t *testing.T, _ *counter, s semaphore, kind string, file *os.File) {
		holder := guest.Start(t, []*os.File{file})
		see(t, holder, "acquire", kind, 1, "ok")
		holder.Stop(t)
		require.False(t, s.TryAcquire(1))
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond) // longer than a look
		defer cancel()
		require.ErrorIs(t, s.Acquire(ctx, 1), context.DeadlineExceeded)
		holder.Cont(t)
		see(t, holder, "release", kind, 1, "ok")
		require.NoError(t, s.Acquire(t.Context(), 1))
	})
}

// A holder is killed, and a thread of it takes long to stop. Its permit does not
// come back before, but who waits for one has the next that another gives back.
func TestBoundedSemaphoreDoesNotWaitForTheDeadToStop(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	require.NoError(t, c.Bound.Init(2))
	holder, waiter := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, holder, "acquire", "bounded", 1, "ok")
	require.True(t, c.Bound.TryAcquire(1))
	halfKill(t, holder)
	tell(t, waiter, "acquire", "bounded", 1)
	awaitAtFence(t, waiter, holder)
	require.NoError(t, c.Bound.Release(1))
	waiter.Expect(t, "ok")
	require.False(t, c.Bound.TryAcquire(1), "the dead one may still use its own")
	holder.Kill(t)
	require.NoError(t, c.Bound.Acquire(t.Context(), 1))
}

// Who is first in line is killed, and a thread of it takes long to stop, or waits for
// permits yet. The line guards nothing, so the next one is first at once, and stays
// that when the late thread leaves the line.
func TestNextIsFirstBeforeTheDeadStop(t *testing.T) {
	forSemaphores(t, 3, func(t *testing.T, _ *counter, s semaphore, kind string, file *os.File) {
		require.True(t, s.TryAcquire(2))
		first, next := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
		tell(t, first, "acquire", kind, 3)
		awaitTrueSleeper(t, first.Pid())
		halfKill(t, first)
		see(t, next, "acquire", kind, 1, "ok")
		tell(t, next, "acquire", kind, 2)
		awaitTrueSleeper(t, next.Pid())
		first.Tell(t, "cancel")
		first.Expect(t, context.Canceled.Error())
		require.False(t, s.TryAcquire(1))
		require.NoError(t, s.Release(2))
		next.Expect(t, "ok")
		first.Kill(t)
	})
}

// A late thread of who was first in line says that nobody is, when the next one
// sleeps. That one says the contrary before it sleeps again.
func TestFirstSaysAgainThatItSleeps(t *testing.T) {
	forSemaphores(t, 1, func(t *testing.T, c *counter, s semaphore, kind string, file *os.File) {
		require.True(t, s.TryAcquire(1))
		first := guest.Start(t, []*os.File{file})
		tell(t, first, "acquire", kind, 1)
		state, line := stateOf(&c.Sem), &boundedWordsOf(&c.Bound).line
		const stands, sleeps = 1 << 31, 2
		said := func() bool { return *state&stands != 0 || *line == sleeps }
		until(t, "the first to say that it sleeps", said)
		awaitTrueSleeper(t, first.Pid())
		*state &^= stands
		*line = 0
		until(t, "the first to say so again", said)
		require.NoError(t, s.Release(1))
		first.Expect(t, "ok")
	})
}
