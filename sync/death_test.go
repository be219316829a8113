package sync_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// forLocks runs a test for each kind of lock, with a scene and one actor.
func forLocks(t *testing.T, test func(t *testing.T, s *scene, file *os.File, lock string, a *proctest.Proc)) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[scene](t)
			test(t, s, file, lock, actor.Start(t, []*os.File{file}, lock))
		})
	}
}

// What CPython's four kinds of locks do not survive: their holder is killed.
func TestHolderKilled(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, victim *proctest.Proc) {
		l := s.lock(lock)
		do(t, victim, "lock")
		victim.Kill(t)

		require.False(t, l.TryLock(), "TryLock does not take an abandoned lock")
		err := l.LockContext(context.Background())
		require.ErrorIs(t, err, psync.ErrOwnerDied)
		var died *psync.OwnerDiedError
		require.ErrorAs(t, err, &died)
		require.Equal(t, victim.Pid(), died.Pid)
		pid, held := l.Holder()
		require.True(t, held, "the lock is held although there was an error")
		require.Equal(t, os.Getpid(), pid)

		l.MarkConsistent()
		l.Unlock()
		require.NoError(t, l.LockContext(context.Background()))
		l.Unlock()
	})
}

// However deep the holder was in a recursive lock.
func TestNestedHolderKilled(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[scene](t)
	victim := actor.Start(t, []*os.File{file}, "rmutex")
	do(t, victim, "lock", "lock", "lock")
	victim.Kill(t)
	require.ErrorIs(t, s.RMutex.LockContext(t.Context()), psync.ErrOwnerDied)
	s.RMutex.MarkConsistent()
	s.RMutex.Unlock()
	require.True(t, s.RMutex.TryLock(), "one Unlock was enough: the depth died with the owner")
	s.RMutex.Unlock()
}

// A holder that ends in an orderly way without unlocking is as dead as another.
func TestHolderExits(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, victim *proctest.Proc) {
		do(t, victim, "lock")
		victim.Tell(t, "quit")
		require.NoError(t, victim.Wait(t))
		require.ErrorIs(t, s.lock(lock).LockContext(t.Context()), psync.ErrOwnerDied)
	})
}

// Who already sleeps on the lock learns of the death, and so do all others.
func TestHolderKilledWhileOthersWait(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, victim *proctest.Proc) {
		do(t, victim, "lock")
		waiters := make([]*proctest.Proc, 3)
		for i := range waiters {
			waiters[i] = actor.Start(t, []*os.File{file}, lock)
			waiters[i].Tell(t, "lock or learn")
		}
		awaitSleeper(s.word(lock))
		victim.Kill(t)
		// Each in turn is told, since nobody marks the lock consistent.
		told := make(chan *proctest.Proc, len(waiters))
		for range waiters {
			pid, held := holderOtherThan(s.lock(lock), victim.Pid())
			require.True(t, held)
			for _, w := range waiters {
				if w.Pid() == pid {
					line := w.Line(t)
					require.Regexp(t, "^died", line)
					do(t, w, "unlock")
					told <- w
				}
			}
		}
		require.Len(t, told, len(waiters))
	})
}

// holderOtherThan waits until somebody else than the dead pid holds the lock.
func holderOtherThan(l psync.Locker, dead int) (int, bool) {
	for {
		if pid, held := l.Holder(); held && pid != dead && pid != 0 {
			return pid, true
		}
	}
}

// A waiter that is killed takes nothing with it.
func TestWaiterKilled(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, victim *proctest.Proc) {
		l := s.lock(lock)
		l.Lock()
		victim.Tell(t, "lock")
		awaitSleeper(s.word(lock))
		victim.Kill(t)
		l.Unlock()
		require.NoError(t, l.LockContext(t.Context()), "a dead waiter is nobody's business")
		l.Unlock()
	})
}

// A stopped holder is alive: others wait, with their contexts.
func TestHolderStopped(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, holder *proctest.Proc) {
		l := s.lock(lock)
		do(t, holder, "lock")
		holder.Stop(t)
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond) // longer than two looks
		defer cancel()
		require.ErrorIs(t, l.LockContext(ctx), context.DeadlineExceeded)
		holder.Cont(t)
		do(t, holder, "unlock")
		require.NoError(t, l.LockContext(t.Context()))
		l.Unlock()
	})
}

// The mark stays until somebody says that the data is right again.
func TestMarkStays(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, victim *proctest.Proc) {
		do(t, victim, "lock")
		victim.Kill(t)
		l := s.lock(lock)
		require.PanicsWithError(t, "psync: the process that held the lock died (pid "+strconv.Itoa(victim.Pid())+")", l.Lock,
			"Lock has no error to return")
		_, held := l.Holder()
		require.False(t, held, "Lock let go before it panicked")
		require.Panics(t, l.Lock, "and the next one is told as well")

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, l.LockContext(ended), psync.ErrOwnerDied, "an ended context is a try that still tells")
		l.Unlock()

		other := actor.Start(t, []*os.File{file}, lock)
		ask(t, other, "try", "no")
		ask(t, other, "lock or learn", "died 0")
		do(t, other, "mark", "unlock", "try", "unlock")
	})
}

// Dying with the mark in hand loses neither mark nor lock.
func TestRepairerKilled(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, first *proctest.Proc) {
		do(t, first, "lock")
		first.Kill(t)
		second := actor.Start(t, []*os.File{file}, lock)
		ask(t, second, "lock or learn", "died "+strconv.Itoa(first.Pid()))
		second.Kill(t)
		err := s.lock(lock).LockContext(t.Context())
		var died *psync.OwnerDiedError
		require.True(t, errors.As(err, &died))
		require.Equal(t, second.Pid(), died.Pid)
	})
}
