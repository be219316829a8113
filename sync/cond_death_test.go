package sync_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// What CPython's Condition does not survive: a waiter is killed, and then
// somebody calls notify. Here the signaller waits for nobody, and the signal
// goes to the one who lives.
func TestCondWaiterKilledThenSignal(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		g[0].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		g[0].Kill(t)
		h.Cond.Signal()
		h.Cond.Broadcast()
		require.Zero(t, h.granted(), "nobody waits")

		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		h.Cond.Signal()
		g[1].Expect(t, "ok")
	})
}

// A waiter is killed when it has been signalled and has not yet got the lock.
// Another one gets the signal, whether it began to wait before the dead one or
// after it.
func TestCondSignalledWaiterKilled(t *testing.T) {
	for name, victimFirst := range map[string]bool{"the older": true, "the younger": false} {
		t.Run(name, func(t *testing.T) {
			forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
				victim, other := g[0], g[1]
				order := []*proctest.Proc{other, victim}
				if victimFirst {
					order = g
				}
				for i, p := range order {
					p.Tell(t, "turn "+lock)
					h.awaitWaiting(t, i+1, l)
					awaitTrueSleeper(t, p.Pid())
				}
				cell := 0
				if !victimFirst {
					cell = 1
				}
				memoryOf(&h.Cond).start.Store(uint32(cell))
				l.Lock()
				h.Cond.Signal()
				require.EqualValues(t, 1<<16|1, upperHalf(&memoryOf(&h.Cond).cells[cell]).Load())
				victim.Kill(t)
				l.Unlock()
				other.Expect(t, "ok")
				require.Zero(t, h.waiting())
			})
		})
	}
}

// A waiter took the signal and was killed holding the lock, with the work still
// to be done. The others are told.
func TestCondSignalledWaiterKilledWithLock(t *testing.T) {
	forHalls(t, 3, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		for i, p := range g {
			do(t, p, "lock "+lock)
			p.Tell(t, "wait "+lock)
			h.awaitWaiting(t, i+1, l)
			awaitTrueSleeper(t, p.Pid())
		}
		h.Cond.Signal()
		g[0].Expect(t, "ok")
		g[0].Kill(t)
		// One of the two takes the lock from the dead one, and sees to it that the
		// other looks as well. Nobody marks the lock, so both are told.
		told := make(chan *proctest.Proc)
		for _, p := range g[1:] {
			go func() {
				if line := p.Line(t); line == "died "+strconv.Itoa(g[0].Pid()) || line == "died 0" {
					told <- p
				}
			}()
		}
		for range 2 {
			do(t, await(t, "a waiter", told), "unlock "+lock)
		}
		require.ErrorIs(t, l.LockContext(t.Context()), psync.ErrOwnerDied)
		l.MarkConsistent()
		l.Unlock()
	})
}

// One that was to signal is killed holding the lock. Who waits learns of it.
func TestCondSignallerKilledWithLock(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		do(t, g[0], "lock "+lock)
		g[0].Kill(t)
		g[1].Expect(t, "died "+strconv.Itoa(g[0].Pid()))
		turn(l)
	})
}

// Who learns of a death wakes the others, who could not see it any more: it has
// been repaired by then.
func TestCondDeathWakesAll(t *testing.T) {
	forHalls(t, 3, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		for i, p := range g[:2] {
			p.Tell(t, "turn "+lock)
			h.awaitWaiting(t, i+1, l)
			awaitTrueSleeper(t, p.Pid())
		}
		g[1].Stop(t)
		do(t, g[2], "lock "+lock)
		g[2].Kill(t)
		g[0].Expect(t, "died "+strconv.Itoa(g[2].Pid()))
		turn(l)
		g[1].Cont(t)
		g[1].Expect(t, "ok")
	})
}

// Wait has no error to return: it panics, and lets go of the lock, which stays
// marked. It wakes the others, too.
func TestCondPlainWaitAfterDeath(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		do(t, g[1], "lock "+lock)
		g[1].Tell(t, "plain "+lock)
		h.awaitWaiting(t, 1, l)
		do(t, g[0], "lock "+lock)
		g[0].Kill(t)
		g[1].Expect(t, "panic psync: the process that held the lock died (pid "+strconv.Itoa(g[0].Pid())+")")
		require.False(t, l.TryLock())
		err := l.LockContext(t.Context())
		require.ErrorIs(t, err, psync.ErrOwnerDied)
		require.ErrorIs(t, h.Cond.WaitContext(t.Context(), l), psync.ErrOwnerDied, "nobody waits for what may be broken")
		ok, err := h.Cond.WaitFor(t.Context(), l, func() bool { return false })
		require.ErrorIs(t, err, psync.ErrOwnerDied)
		require.False(t, ok)
		l.MarkConsistent()
		l.Unlock()
	})
}

// A stopped waiter is alive: a signal that it was given stays its own, and nobody
// else waits for it.
func TestCondWaiterStopped(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		g[0].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		awaitTrueSleeper(t, g[0].Pid())
		g[0].Stop(t)
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 2, l)
		h.Cond.Signal()
		h.Cond.Signal()
		g[1].Expect(t, "ok")
		require.Equal(t, 1, h.waiting())
		g[0].Cont(t)
		g[0].Expect(t, "ok")
		require.Zero(t, h.granted())
	})
}

// Who fell asleep before the victim came for the first time did not know whom to
// watch. It is told.
func TestCondNewcomerKilled(t *testing.T) {
	forHalls(t, 3, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		for i, p := range g[:2] {
			p.Tell(t, "turn "+lock)
			h.awaitWaiting(t, i+1, l)
			awaitTrueSleeper(t, p.Pid())
		}
		members := sleepByHand(&memoryOf(&h.Cond).members)
		g[2].Tell(t, "turn "+lock)
		await(t, "who watches for newcomers", members)
		h.awaitWaiting(t, 3, l)
		memoryOf(&h.Cond).start.Store(2)
		l.Lock()
		h.Cond.Signal()
		g[2].Kill(t)
		l.Unlock()
		until(t, "one to go on", func() bool { // or both: each may pass on what the dead one had
			l.Lock()
			defer l.Unlock()
			return h.waiting() <= 1
		})
		h.Cond.Signal()
		g[0].Expect(t, "ok")
		g[1].Expect(t, "ok")
		require.Zero(t, h.granted())
	})
}

// Any end of a waiter is a death, an orderly one too. A signal that nobody is
// left to get is gone: who comes later did not wait when it was given.
func TestCondWaiterExits(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		exit := func() {
			l.Lock()
			h.Cond.Signal()
			g[0].Tell(t, "quit")
			require.NoError(t, g[0].Wait(t))
			require.Equal(t, 1, h.granted())
		}
		g[0].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 2, l)
		memoryOf(&h.Cond).start.Store(0)
		exit()
		l.Unlock()
		g[1].Expect(t, "ok")

		g[0], g[1] = g[1], nil
		g[0].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 1, l)
		memoryOf(&h.Cond).start.Store(1)
		exit()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, h.Cond.WaitContext(ended, l), context.Canceled)
		require.Zero(t, h.granted())
		l.Unlock()
	})
}
