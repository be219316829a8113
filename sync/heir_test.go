package sync_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// standHeir has the actor wait for a lock that this process holds until the lock
// is to be kept for it, and stops it there. It returns the heir's id.
func standHeir(t *testing.T, s *scene, lock string, heir *proctest.Proc) uint32 {
	t.Helper()
	_, high := halves(s.lock(lock))
	heir.Tell(t, "lock")
	for high.Load() == 0 {
		runtime.Gosched()
	}
	heir.Stop(t)
	return high.Load()
}

// A process that has waited long has the lock kept for it when it becomes free.
// While it is stopped the lock is not kept for long; when it goes on it has its
// turn, and nothing of its claim is left.
func TestLockIsKeptForHeir(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, heir *proctest.Proc) {
		l := s.lock(lock)
		word := wholeWord(l)
		l.Lock()
		me := word.Load() & ownerMask
		id := standHeir(t, s, lock, heir)
		l.Unlock()
		require.EqualValues(t, id, word.Load()>>heirShift, "it is kept")
		require.Zero(t, word.Load()&ownerMask, "it is free")
		require.False(t, l.TryLock(), "it is kept for another")

		require.NoError(t, l.LockContext(t.Context()), "the heir does not come, and is passed over")
		require.Equal(t, me|waiting, word.Load(), "others may wait for the heir to take it")
		l.Unlock()
		heir.Cont(t)
		heir.Expect(t, "ok")
		require.Zero(t, word.Load()>>heirShift, "who has the lock is nobody's heir")
		do(t, heir, "unlock")
		require.Zero(t, word.Load())
	})
}

// Who does not wait does not take a lock that is kept for another. If the look
// took so long that the heir was late, it is tried again.
func TestTryLeavesLockToHeir(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, other *proctest.Proc) {
		l := s.lock(lock)
		word := wholeWord(l)
		do(t, other, "lock")
		id := word.Load() & ownerMask
		do(t, other, "unlock")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for {
			word.Store(id << heirShift)
			require.False(t, l.TryLock())
			err := l.LockContext(ended)
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				return
			}
			l.Unlock()
		}
	})
}

// An heir that dies is passed over, and nobody is told: it held nothing. Others
// may have waited for it to take the lock, whatever the word says.
func TestHeirKilled(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, heir *proctest.Proc) {
		l := s.lock(lock)
		word := wholeWord(l)
		l.Lock()
		standHeir(t, s, lock, heir)
		l.Unlock()
		heir.Kill(t)
		word.And(^uint64(waiting))
		require.NoError(t, l.LockContext(t.Context()))
		require.Zero(t, word.Load()>>heirShift)
		require.NotZero(t, word.Load()&waiting)
		l.Unlock()
		require.Zero(t, word.Load())
	})
}

// The holder that lets go wakes the heir; if the heir does not sleep just then,
// somebody else must know that the lock is free.
func TestUnlockWakesHeir(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, other *proctest.Proc) {
		l := s.lock(lock)
		word := wholeWord(l)
		low, high := halves(l)
		do(t, other, "lock")
		id := word.Load() & ownerMask
		do(t, other, "unlock")

		l.Lock()
		word.Or(id<<heirShift | waiting)
		heir := sleepByHand(high)
		waiter := sleepByHand(low)
		l.Unlock()
		await(t, "the heir", heir)

		require.NoError(t, l.LockContext(t.Context())) // the heir never comes
		word.Or(id<<heirShift | waiting)
		l.Unlock()
		await(t, "the waiter", waiter)
	})
}

// A try does not leave the lock to an heir that is dead.
func TestTryPassesOverDeadHeir(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, heir *proctest.Proc) {
		l := s.lock(lock)
		l.Lock()
		standHeir(t, s, lock, heir)
		l.Unlock()
		heir.Kill(t)
		require.True(t, l.TryLock())
		l.Unlock()
		require.Zero(t, wholeWord(l).Load())
	})
}
