package futex

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From include/uapi/linux/futex.h.
const (
	opWake       = 1
	opWaitBitset = 9 // as FUTEX_WAIT, but its time-out is absolute
	bitsetAny    = 0xffffffff
	flagU32      = 2 // FUTEX2_SIZE_U32; without FUTEX2_PRIVATE the word is shared
)

// A Waiter is one word to watch and the value it is expected to have: the
// kernel's struct futex_waitv.
//
// It holds the address as an integer, so it keeps nothing alive and does not
// follow a moving stack: the word must lie in a mapping or on the heap, and
// outlive the wait.
type Waiter struct {
	value    uint64
	address  uint64
	flags    uint32
	reserved uint32
}

var _ [24]byte = [unsafe.Sizeof(Waiter{})]byte{}

// Watch describes a wait for word to differ from val.
func Watch(word *atomic.Uint32, val uint32) Waiter {
	return Waiter{value: uint64(val), address: uint64(uintptr(unsafe.Pointer(word))), flags: flagU32}
}

// word gives the pointer back; vet cannot know that the word does not move.
func (w *Waiter) word() *atomic.Uint32 {
	return *(**atomic.Uint32)(unsafe.Pointer(&w.address))
}

func (w *Waiter) val() uint32 { return uint32(w.value) }

// timespec is nil for a deadline of never.
func timespec(d Deadline) *unix.Timespec {
	if d == 0 {
		return nil
	}
	ts := unix.NsecToTimespec(int64(d))
	return &ts
}

// wait blocks, so it goes through Syscall6, which hands this thread's P to
// another goroutine.
func wait(word *atomic.Uint32, val uint32, deadline Deadline) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWaitBitset, uintptr(val),
		uintptr(unsafe.Pointer(timespec(deadline))), 0, bitsetAny)
	return errno
}

func waitv(words []Waiter, deadline Deadline) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(unsafe.SliceData(words))), uintptr(len(words)), 0,
		uintptr(unsafe.Pointer(timespec(deadline))), unix.CLOCK_MONOTONIC, 0)
	runtime.KeepAlive(words)
	return errno
}

// wake never blocks: RawSyscall6 spares the scheduler.
func wake(word *atomic.Uint32, n int) int {
	woken, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWake, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(woken)
}
