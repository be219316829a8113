package sync

import (
	"context"
	"sync"
)

// A Locker is a lock whose holder may die: what [Mutex], [RMutex] and, for
// writing, [RWMutex] have in common. It is a std sync.Locker as well, and so is what
// [RWMutex.RLocker] returns: what takes one of those, as std's Cond does, takes ours.
type Locker interface {
	sync.Locker

	// LockContext locks, or returns the context's error. It returns an error
	// that matches ErrOwnerDied with the lock held if the last holder died.
	LockContext(ctx context.Context) error

	// TryLock locks if that is possible at once and no holder died. It panics if
	// this process cannot join the roster of processes.
	TryLock() bool

	// MarkConsistent says that what a dead holder left behind was repaired.
	MarkConsistent()

	// Holder returns the process that holds the lock.
	Holder() (pid int, held bool)
}

var (
	_ Locker = (*Mutex)(nil)
	_ Locker = (*RMutex)(nil)
	_ Locker = (*RWMutex)(nil)
)
