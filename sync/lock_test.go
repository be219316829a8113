package sync_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Python: _TestLock.test_lock — differs: Unlock of an unlocked lock panics, and so does Unlock by a process that does not hold it
func TestMutex(t *testing.T) {
	s, file := stage[scene](t)
	m := &s.Mutex
	require.True(t, m.TryLock())
	require.False(t, m.TryLock())
	m.Unlock()
	require.PanicsWithValue(t, fmt.Sprintf("psync: Unlock of an unlocked lock by process %d", os.Getpid()), m.Unlock)

	other := actor.Start(t, []*os.File{file}, "mutex")
	do(t, other, "lock")
	require.False(t, m.TryLock())
	pid, held := m.Holder()
	require.True(t, held)
	require.Equal(t, other.Pid(), pid)
	require.PanicsWithValue(t,
		fmt.Sprintf("psync: Unlock by process %d of a lock held by process %d", os.Getpid(), other.Pid()), m.Unlock)
	require.PanicsWithValue(t,
		fmt.Sprintf("psync: MarkConsistent by process %d of a lock held by process %d", os.Getpid(), other.Pid()), m.MarkConsistent)
	do(t, other, "unlock")
	_, held = m.Holder()
	require.False(t, held)
}

// A Mutex belongs to a process, as std's does not ask which goroutine unlocks.
func TestMutexUnlockedByOtherGoroutine(t *testing.T) {
	var m psync.Mutex
	m.Lock()
	done := make(chan struct{})
	go func() {
		m.Unlock()
		close(done)
	}()
	<-done
	require.True(t, m.TryLock())
}

// Python: _TestLock.test_rlock — differs: Unlock by a goroutine that does not own the lock panics
func TestRMutex(t *testing.T) {
	s, file := stage[scene](t)
	r := &s.RMutex
	r.Lock()
	require.True(t, r.TryLock())
	require.NoError(t, r.LockContext(t.Context()))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, r.LockContext(ended), "the owner needs not wait")
	other := actor.Start(t, []*os.File{file}, "rmutex")
	for range 4 {
		ask(t, other, "try", "no")
		r.Unlock()
	}
	do(t, other, "try", "try", "unlock")
	require.False(t, r.TryLock(), "locked twice, unlocked once")
	require.PanicsWithValue(t,
		fmt.Sprintf("psync: Unlock by process %d of a lock held by process %d", os.Getpid(), other.Pid()), r.Unlock)
	do(t, other, "unlock")
	require.PanicsWithValue(t, fmt.Sprintf("psync: Unlock of an unlocked lock by process %d", os.Getpid()), r.Unlock)
	require.True(t, r.TryLock())
	r.Unlock()
}

// The owner of an RMutex is a goroutine, not its process.
func TestRMutexBelongsToGoroutine(t *testing.T) {
	var r psync.RMutex
	r.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		require.False(t, r.TryLock())
		require.Panics(t, r.Unlock)
		require.Panics(t, r.MarkConsistent)
	}()
	<-done
	r.Unlock()
}

// Python: _TestLock.test_lock_context — differs: Do of arrays and values, or defer, instead of a with statement
func TestLockWithDefer(t *testing.T) {
	var m psync.Mutex
	func() {
		m.Lock()
		defer m.Unlock()
		require.False(t, m.TryLock())
	}()
	require.True(t, m.TryLock())
}

// A psync.Mutex is a std sync.Locker, for example of a std Cond.
func TestStdCondAcceptsMutex(t *testing.T) {
	var m psync.Mutex
	c := sync.NewCond(&m)
	ready := false
	go func() {
		m.Lock()
		defer m.Unlock()
		ready = true
		c.Signal()
	}()
	m.Lock()
	for !ready {
		c.Wait()
	}
	m.Unlock()
}

func TestLockContext(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, _ *os.File, lock string, holder *proctest.Proc) {
		l := s.lock(lock)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, l.LockContext(ended), "a free lock is taken even so")
		l.Unlock()
		do(t, holder, "lock")
		require.ErrorIs(t, l.LockContext(ended), context.Canceled)

		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() { failed <- l.LockContext(ctx) }()
		awaitSleeper(s.word(lock))
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		do(t, holder, "unlock")
		require.True(t, l.TryLock())
		l.Unlock()
	})
}

// The zero value is ready; so is any place in fresh memory.
func TestMarkConsistentOfConsistentLock(t *testing.T) {
	var m psync.Mutex
	m.Lock()
	m.MarkConsistent()
	m.Unlock()
	require.PanicsWithValue(t, fmt.Sprintf("psync: MarkConsistent of an unlocked lock by process %d", os.Getpid()), m.MarkConsistent)
}

func BenchmarkMutex(b *testing.B) {
	var m psync.Mutex
	for b.Loop() {
		m.Lock()
		m.Unlock()
	}
}

func BenchmarkRMutex(b *testing.B) {
	var r psync.RMutex
	for b.Loop() {
		r.Lock()
		r.Unlock()
	}
}

func BenchmarkStdMutex(b *testing.B) {
	var m sync.Mutex
	for b.Loop() {
		m.Lock()
		m.Unlock()
	}
}
