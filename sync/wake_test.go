package sync_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// True sleepers look again after 100 ms, so to them a lost wake is only a delay.
// The sleepers by hand of these tests do not.

const (
	ownerMask = 1<<30 - 1
	heirShift = 32
)

// forWords runs a test for each kind of lock, in this process alone.
func forWords(t *testing.T, test func(t *testing.T, s *scene, lock string)) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, _ := stage[scene](t)
			test(t, s, lock)
		})
	}
}

func TestUnlockWakes(t *testing.T) {
	forWords(t, func(t *testing.T, s *scene, lock string) {
		l := s.lock(lock)
		word := wholeWord(l)
		low, _ := halves(l)
		l.Lock()
		word.Or(waiting)
		woken := sleepByHand(low)
		l.Unlock()
		await(t, "the sleeper", woken)
		require.Zero(t, word.Load(), "who is woken announces itself anew if it must sleep again")
	})
}

// Who took the lock after a sleep cannot know whether others sleep. (The unlock
// that woke it dropped W.)
func TestWokenOneWakesTheNext(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, holder *proctest.Proc) {
		l := s.lock(lock)
		low, _ := halves(l)
		do(t, holder, "lock")
		done := make(chan struct{})
		go func() {
			defer close(done)
			turn(l)
		}()
		awaitSleeper(s.word(lock))
		woken := sleepByHand(low)
		do(t, holder, "unlock")
		await(t, "the first sleeper", done)
		await(t, "the second sleeper", woken)
	})
}

// Who takes the lock from a dead owner assumes that somebody sleeps, whatever
// the word says. (glibc BZ 20973.)
func TestRecovererWakes(t *testing.T) {
	for name, bit := range map[string]uint64{"announced": waiting, "not announced": 0} {
		t.Run(name, func(t *testing.T) {
			forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, victim *proctest.Proc) {
				l := s.lock(lock)
				word := wholeWord(l)
				low, _ := halves(l)
				do(t, victim, "lock")
				word.Or(bit)
				woken := sleepByHand(low)
				victim.Kill(t)
				require.ErrorIs(t, l.LockContext(t.Context()), psync.ErrOwnerDied)
				l.MarkConsistent()
				l.Unlock()
				await(t, "the sleeper", woken)
			})
		})
	}
}

// The one who sleeps when the holder dies is woken by that, and by nothing else:
// there is nobody to unlock.
func TestDeathWakes(t *testing.T) {
	forLocks(t, func(t *testing.T, _ *scene, file *os.File, lock string, victim *proctest.Proc) {
		waiter := actor.Start(t, []*os.File{file}, lock)
		do(t, victim, "lock")
		waiter.Tell(t, "lock or learn")
		awaitTrueSleeper(t, waiter.Pid())
		victim.Kill(t)
		waiter.Expect(t, "died "+strconv.Itoa(victim.Pid()))
	})
}

// The kernel wakes one of those who watch the dead process, and that one may have
// waited for another lock: a true waiter wakes the others. The two by hand cannot
// both be the one that the kernel woke.
func TestDeathIsPassedOn(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, victim *proctest.Proc) {
		l := s.lock(lock)
		do(t, victim, "lock")
		live := roster.Look(roster.ID(wholeWord(l).Load() & ownerMask)).Word
		first, second := sleepByHand(live), sleepByHand(live)
		told := make(chan error)
		go func() { told <- l.LockContext(t.Context()) }()
		awaitSleeper(s.word(lock))
		victim.Kill(t)
		require.ErrorIs(t, await(t, "the lock", told), psync.ErrOwnerDied)
		await(t, "the first other sleeper", first)
		await(t, "the second other sleeper", second)
	})
}

// Who gives up leaves the lock to others: a lock that is free has woken one of
// them, and of a lock that is held the holder knows that it must.
func TestGiveUp(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, holder *proctest.Proc) {
		l := s.lock(lock)
		word := wholeWord(l)
		low, _ := halves(l)
		do(t, holder, "lock")
		id := word.Load() & ownerMask
		giveUp := func(change func()) error {
			word.Store(id) // so that the next W is its own
			ctx, cancel := context.WithCancel(t.Context())
			outcome := make(chan error)
			go func() {
				err := l.LockContext(ctx)
				if err == nil {
					l.Unlock()
				}
				outcome <- err
			}()
			awaitSleeper(s.word(lock))
			change()
			cancel()
			return await(t, "who gives up", outcome)
		}

		require.ErrorIs(t, giveUp(func() { word.Store(id) }), context.Canceled)
		require.Equal(t, id|waiting, word.Load(), "its wake may have been meant for another")

		// A free lock that is kept for another process: it may not be taken, and
		// nobody else may know that it is free.
		var woken <-chan struct{}
		err := giveUp(func() {
			woken = sleepByHand(low)
			word.Store(id<<heirShift | waiting)
		})
		await(t, "the other sleeper", woken)
		if err == nil {
			return // the heir was late: the lock was taken after all
		}
		require.ErrorIs(t, err, context.Canceled)
		word.Store(id)
		do(t, holder, "unlock")
	})
}
