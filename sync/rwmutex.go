package sync

import (
	"context"
	"fmt"
	"os"
	"structs"
	"sync"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// An RWMutex is a reader/writer mutual exclusion lock shared by processes: any
// number of readers hold it, or one writer. The zero value is unlocked.
//
// As with std's, a goroutine that has it for reading must not lock it again for
// reading: a writer that comes in between waits for the first, and the second
// for the writer. A writer that has come waits only for the readers that are in;
// readers that come while a writer has it queue with the next writers, so that
// neither starves the other.
//
// A reader whose process dies counts no more, as soon as no thread of it runs: a
// writer waits for that. If the process dies that has it for writing, the next one
// is told, once it is certain that no thread of the dead process still writes. A
// writer then has the lock, and can repair what it guards. A reader, who could not,
// does not have it. Who dies while waiting leaves no trace.
//
// Layout, version 1, 1024 bytes, the processor's byte order:
//
//	off size field
//	  0    8 word   the lock of writers, a lock word as in word.go
//	  8    8 dirty  1: somebody is, or died, between Lock and Unlock
//	 16   16 used   120 bits: the cells that were ever claimed
//	 32   32 -      zero
//	 64  960 lines  15 lines of 8 cells, see holders.go: how often a process has it for reading
//
// Each process has its cell in a line of its own, as long as there are lines, so
// readers of several processes do not fight for one.
type RWMutex struct {
	_     structs.HostLayout
	word  atomic.Uint64
	dirty atomic.Uint64
	used  [2]atomic.Uint64
	_     [32]byte
	lines [readLines][cellsOfLine]atomic.Uint64
}

// RLock locks rw for reading, and waits for that as long as it takes.
//
// If the last writer died, RLock panics with an [*OwnerDiedError], and rw is not
// held; who can tell what to do uses RLockContext. It panics as well if this
// process cannot join the roster of processes.
func (rw *RWMutex) RLock() {
	if counted := rw.countMe(); !counted || rw.taken() {
		if err := rw.rLock(context.Background(), counted); err != nil {
			panic(err)
		}
	}
	if check.Race {
		check.Acquire(&rw.word)
	}
}

// RLockContext locks rw for reading unless ctx ends first. It returns
//
//   - nil: rw is held for reading;
//   - an error that matches [ErrOwnerDied]: rw is not held, and what it guards
//     may be half-changed. That is so until a writer repairs it;
//   - the context's error, or one about the roster of processes: rw is not held.
//
// With a context that has already ended it does not wait.
func (rw *RWMutex) RLockContext(ctx context.Context) error {
	if counted := rw.countMe(); !counted || rw.taken() {
		if err := rw.rLock(ctx, counted); err != nil {
			return err
		}
	}
	check.Acquire(&rw.word)
	return nil
}

// TryRLock locks rw for reading if no writer has it or waits for its readers,
// and never waits. It may report false as well at the moment when another reader
// is let in after a writer, or a TryLock fails. It does not lock what a dead
// writer left behind. It panics as TryLock does.
func (rw *RWMutex) TryRLock() bool {
	if counted := rw.countMe(); !counted || rw.taken() {
		if !counted && rw.dirty.Load() != 0 || !succeeded(rw.rLock(ended, counted)) {
			return false
		}
	}
	check.Acquire(&rw.word)
	return true
}

// RUnlock takes back one RLock, which any goroutine of the process may do. It
// panics if this process does not hold rw for reading.
func (rw *RWMutex) RUnlock() {
	if check.Race {
		check.Release(&rw.dirty)
	}
	if probe.Enabled {
		probe.At(probe.RW220)
	}
	self := *roster.Self
	cell := rw.home(self)
	c := cell.Load()
	switch {
	case c&ownMask != self || c == self || !cell.CompareAndSwap(c, c-oneReader):
		rw.rUnlockSlow()
	case rw.word.Load() != 0 && countOf(c) == 1:
		rw.wake(cell)
	}
}

// rUnlockSlow is RUnlock of a process that does not have its home, or of several
// goroutines at once.
//
//go:noinline
func (rw *RWMutex) rUnlockSlow() {
	if !rw.uncount(roster.Me()) {
		panic(rw.misuse("RUnlock"))
	}
}

// Lock locks rw for writing, and waits for that as long as it takes.
//
// If the last writer died, Lock panics with an [*OwnerDiedError] and leaves rw
// free and marked; who can repair what it guards uses LockContext. It panics as
// well if this process cannot join the roster of processes.
func (rw *RWMutex) Lock() {
	if err := rw.lock(context.Background()); err != nil {
		if holds(err) {
			rw.letGo(roster.Me()) // keeps the mark: corrupt state is never passed on in silence
		}
		panic(err)
	}
	rw.entered()
}

// LockContext locks rw for writing unless ctx ends first. It returns
//
//   - nil: rw is held;
//   - an error that matches [ErrOwnerDied]: rw is held, and what it guards may
//     be half-changed;
//   - the context's error, or one about the roster of processes: rw is not held.
//
// With a context that has already ended it does not wait.
func (rw *RWMutex) LockContext(ctx context.Context) error {
	err := rw.lock(ctx)
	if err == nil || holds(err) {
		rw.entered()
	}
	return err
}

// TryLock locks rw for writing if nobody has it or is about to, and never waits.
// It does not lock what a dead writer left behind. It panics if this process
// cannot join the roster of processes, which the first call does.
func (rw *RWMutex) TryLock() bool {
	if rw.dirty.Load() != 0 {
		return false
	}
	err := rw.lock(ended)
	if holds(err) { // a writer died since the look
		rw.letGo(roster.Me())
		return false
	}
	if !succeeded(err) {
		return false
	}
	rw.entered()
	return true
}

// entered tells the race detector that a writer is in: it comes after the
// writers and the readers before it.
func (rw *RWMutex) entered() {
	if check.Race {
		check.Acquire(&rw.word)
		check.Acquire(&rw.dirty)
	}
}

// Unlock unlocks rw, which any goroutine of the process may do that holds it for
// writing. It panics if this process does not.
func (rw *RWMutex) Unlock() {
	if check.Race {
		check.Release(&rw.word)
	}
	me := roster.Me()
	w := rw.word.Load()
	if !rw.writing(me, w) {
		panic(rw.misuse("Unlock"))
	}
	if w&wordA == 0 {
		if probe.Enabled {
			probe.At(probe.RW212)
		}
		storeRelaxed(&rw.dirty, 0)
	}
	rw.letGo(me)
}

// MarkConsistent says that what rw guards was repaired after a writer died. This
// process must hold rw for writing; otherwise it panics. It does nothing if rw
// was consistent.
func (rw *RWMutex) MarkConsistent() {
	if !rw.writing(roster.Me(), rw.word.Load()) {
		panic(rw.misuse("MarkConsistent"))
	}
	markConsistent(&rw.word)
}

// Holder returns the process that holds rw for writing, alive or dead. The
// answer may be out of date when it arrives. The pid is 0 if the holder is long
// dead. After a writer's death, until its work is repaired, it may also name one who
// is just being told of that, or is about to be.
func (rw *RWMutex) Holder() (pid int, held bool) {
	if rw.dirty.Load() == 0 {
		return 0, false
	}
	return holder(&rw.word)
}

// RLocker returns a Locker whose Lock and Unlock are RLock and RUnlock of rw.
func (rw *RWMutex) RLocker() sync.Locker { return readLocker{rw} }

type readLocker struct{ rw *RWMutex }

func (l readLocker) Lock()   { l.rw.RLock() }
func (l readLocker) Unlock() { l.rw.RUnlock() }

// writing reports whether process me has rw for writing, when the word is w. It
// may have the word for another reason, but then nothing is dirty, unless it
// tells of the mark.
func (rw *RWMutex) writing(me roster.ID, w uint64) bool {
	return me != 0 && ownerOf(w) == me && rw.dirty.Load() != 0
}

func (rw *RWMutex) misuse(op string) string {
	if pid, held := rw.Holder(); held && pid != os.Getpid() {
		return misuse(op, &rw.word)
	}
	return fmt.Sprintf("psync: %s by process %d, which has not locked the RWMutex for that", op, os.Getpid())
}
