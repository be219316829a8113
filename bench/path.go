package main

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// A path is what one lock and unlock execute when nobody else wants the lock.
type path struct {
	Instructions int
	Locked       int // those that lock the bus or the cache line: with a LOCK prefix, or XCHG
}

// A traced program marks four places: before and behind one pair of lock and
// unlock, and before and behind two. What the second part executes more than the
// first is one pair, without what leads to a mark and away from it.

// mark stops this thread, for the tracer to see.
//
//go:noinline
func mark() {
	_, _, _ = unix.RawSyscall(unix.SYS_TGKILL, uintptr(os.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGSTOP))
}

// startMark is the mark before a part. The scheduler of Go interrupts who has run
// for 10 ms, and steps are slow: that time begins anew here.
func startMark() {
	runtime.Gosched()
	mark()
}

// The first thread is the one that is traced.
func init() {
	if os.Args[0] == plainTraced {
		runtime.LockOSThread()
	}
}

// traced is the whole work of a plain child: one of the kinds of locks of
// lock.go. The calls are written out, so that they are inlined where they can be.
// The first pair is for what happens only once.
//
//nolint:staticcheck // nothing between: the lock alone is counted
func traced(kind string) error {
	l, err := newLocks()
	if err != nil {
		return err
	}
	switch kind {
	case "sync.Mutex":
		m := new(sync.Mutex)
		m.Lock()
		m.Unlock()
		startMark()
		m.Lock()
		m.Unlock()
		mark()
		startMark()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		mark()
	case "psync.Mutex":
		m := &l.Ptr().plain
		m.Lock()
		m.Unlock()
		startMark()
		m.Lock()
		m.Unlock()
		mark()
		startMark()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		mark()
	case "psync.RMutex":
		m := &l.Ptr().recursive
		m.Lock()
		m.Unlock()
		startMark()
		m.Lock()
		m.Unlock()
		mark()
		startMark()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		mark()
	}
	return l.Close()
}
