// Package futex holds all that this module knows of the kernel's futex calls.
//
// A futex is a 32-bit word on which threads of any process that maps it can
// sleep. The kernel compares the word with an expected value and sleeps in one
// step, so a change made before the sleep cannot be missed. Everything here
// works across processes: the word is identified by its page and offset, never
// by an address (no FUTEX_PRIVATE).
//
// No function of this package looks at why it returned more than its caller
// needs: every return is permission to look at the words again, no more.
package futex

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// All as a count wakes every sleeper.
const All = math.MaxInt32

// MaxWaiters is how many words one WaitV can watch (FUTEX_WAITV_MAX).
const MaxWaiters = 128

// PollInterval bounds a WaitV on kernels that refuse futex_waitv: such a wait
// sleeps on the first word only, and finds out about the others by looking.
const PollInterval = 10 * time.Millisecond

// A Deadline is a moment on CLOCK_MONOTONIC in nanoseconds; 0 means never.
// Being absolute, it stays right when a wait is interrupted and begun again.
type Deadline int64

// After returns the deadline that lies d in the future.
func After(d time.Duration) Deadline { return now() + Deadline(d) }

// now reads the clock of the sleeps from the kernel. That of package time may be
// another one: in a test with testing/synctest it stands still.
func now() Deadline {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("futex: clock_gettime: " + err.Error()) // cannot happen: the clock always exists
	}
	return Deadline(ts.Nano())
}

// noWaitV remembers that the kernel (ENOSYS) or a seccomp profile (mostly EPERM,
// but it may answer anything) refuses futex_waitv.
var noWaitV atomic.Bool

// zero is a word that nobody changes. It lies where a Waiter can find it: a
// local variable would move with its stack.
var zero atomic.Uint32

// WaitVSupported reports whether futex_waitv works here, by trying it.
func WaitVSupported() bool {
	_ = WaitV([]Waiter{Watch(&zero, 1)}, 0) // never sleeps: the word is 0
	return !noWaitV.Load()
}

// Wait sleeps while *word == val, until a Wake, the deadline, a signal, or for
// no reason at all. The error is nil in all these cases, and when the word had
// another value to begin with; it is not nil only where sleeping is impossible:
// EFAULT means that word is not mapped.
func Wait(word *atomic.Uint32, val uint32, deadline Deadline) error {
	return benign(wait(word, val, deadline))
}

// WaitV sleeps while each of the words has its expected value, at most
// MaxWaiters of them; otherwise it is like Wait. The words are compared and
// queued one after the other, not at one instant.
func WaitV(words []Waiter, deadline Deadline) error {
	if !noWaitV.Load() {
		switch errno := waitv(words, deadline); errno {
		case 0, unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT, unix.EFAULT, unix.EINVAL:
			return benign(errno)
		case unix.ENOMEM: // this time
		default:
			noWaitV.Store(true)
		}
	}
	if poll := After(PollInterval); deadline == 0 || poll < deadline {
		deadline = poll
	}
	return benign(wait(words[0].word(), words[0].val(), deadline))
}

// benign turns the ordinary ways to return from a wait into success.
func benign(errno unix.Errno) error {
	switch errno {
	case 0, unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
		return nil
	}
	return errno
}

// Wake wakes at most n sleepers on word and returns how many it woke. A word
// that is no longer mapped has no sleepers.
func Wake(word *atomic.Uint32, n int) int {
	return wake(word, n)
}
