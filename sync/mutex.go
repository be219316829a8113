package sync

import (
	"context"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Mutex is a mutual exclusion lock shared by processes. The zero value is an
// unlocked mutex.
//
// If the process that holds it ends in any way, the lock is free at once, and
// marked: the next one to take it is told, once it is certain that no thread of
// the dead process still writes. A goroutine that panics or exits while holding
// it in a process that lives on leaves it locked, as with std.
//
// Whoever runs takes a free lock before one who must first wake up. A process
// that has waited for a millisecond is let in before newcomers.
//
// Layout, version 1, 8 bytes, little endian; see word.go:
//
//	off size field
//	  0    4 word   holder and flags
//	  4    4 heir   who is to have it next
type Mutex struct {
	_    structs.HostLayout
	word atomic.Uint64
}

// Lock locks m, and waits for that as long as it takes. It is not recursive: a
// goroutine that locks twice waits for itself.
//
// If the last holder died, Lock panics with an [*OwnerDiedError] and leaves the
// lock free and marked; who can repair what it guards uses LockContext. It
// panics as well if this process cannot join the roster of processes.
func (m *Mutex) Lock() {
	if probe.Enabled {
		probe.At(probe.Lock1)
	}
	if *roster.Self == 0 || !m.word.CompareAndSwap(0, *roster.Self) {
		m.lockSlow()
	}
	if check.Race {
		check.Acquire(&m.word)
	}
	if probe.Enabled {
		probe.At(probe.Locked)
	}
}

// lockSlow is kept apart so that Lock inlines.
//
//go:noinline
func (m *Mutex) lockSlow() {
	err := acquire(context.Background(), &m.word)
	if err == nil {
		return
	}
	if holds(err) {
		release(&m.word, roster.Me()) // keeps the mark: corrupt state is never passed on in silence
	}
	panic(err)
}

// LockContext locks m unless ctx ends first. It returns
//
//   - nil: m is held;
//   - an error that matches [ErrOwnerDied]: m is held, and what it guards may
//     be half-changed;
//   - the context's error, or one about the roster of processes: m is not held.
//
// With a context that has already ended it takes m, without waiting, if it is
// free and not kept for a living process that has waited too long, or if its
// holder's process is dead and none of its threads runs any more.
func (m *Mutex) LockContext(ctx context.Context) error {
	probe.At(probe.Lock1)
	if *roster.Self == 0 || !m.word.CompareAndSwap(0, *roster.Self) {
		if err := acquire(ctx, &m.word); err != nil {
			if holds(err) {
				check.Acquire(&m.word)
			}
			return err
		}
	}
	check.Acquire(&m.word)
	probe.At(probe.Locked)
	return nil
}

// TryLock locks m if it is free, and never waits. It does not take a lock whose
// holder died, nor one that is kept for a living process that has waited too
// long. If that one is stopped and does not come for the lock, it stays kept
// until somebody waits for it: LockContext passes the heir over after 5 ms.
//
// The first call of a process joins the roster of processes. TryLock panics if
// that cannot be done.
func (m *Mutex) TryLock() bool {
	if *roster.Self != 0 && m.word.CompareAndSwap(0, *roster.Self) {
		if check.Race {
			check.Acquire(&m.word)
		}
		return true
	}
	return m.tryLockSlow()
}

// tryLockSlow is kept apart so that TryLock inlines.
//
//go:noinline
func (m *Mutex) tryLockSlow() bool {
	if !tryLock(&m.word) {
		return false
	}
	check.Acquire(&m.word)
	return true
}

// Unlock unlocks m, which any goroutine of the process that holds it may do. It
// panics if this process does not hold m.
func (m *Mutex) Unlock() {
	if check.Race {
		check.Release(&m.word)
	}
	if probe.Enabled {
		probe.At(probe.Lock10)
	}
	if *roster.Self == 0 || !m.word.CompareAndSwap(*roster.Self, 0) {
		m.unlockSlow()
	}
}

// unlockSlow is Unlock's other half: somebody may sleep, a mark must be kept,
// or this process does not hold m.
//
//go:noinline
func (m *Mutex) unlockSlow() {
	me := roster.Me()
	if me == 0 || ownerOf(m.word.Load()) != me {
		panic(misuse("Unlock", &m.word))
	}
	release(&m.word, me)
}

// held lets a Cond release m and take it again.
func (m *Mutex) held(op string) (word *atomic.Uint64, depth *uint32) {
	if me := roster.Me(); me == 0 || ownerOf(m.word.Load()) != me {
		panic(misuse(op, &m.word))
	}
	return &m.word, nil
}

// MarkConsistent says that what m guards was repaired after its holder died.
// This process must hold m; otherwise it panics. It does nothing if m was
// consistent.
func (m *Mutex) MarkConsistent() { markConsistent(&m.word) }

// Holder returns the process that holds m, alive or dead. The answer may be out
// of date when it arrives. The pid is 0 if the holder is long dead.
func (m *Mutex) Holder() (pid int, held bool) { return holder(&m.word) }
