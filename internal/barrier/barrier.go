// Package barrier makes the store that commits a change cheap, at the cost of
// who goes to sleep.
//
// A committer stores, and then looks whether somebody sleeps. A sleeper
// announces itself, and then looks whether something was stored. One of them
// must see the other, so neither load may overtake the store before it. The
// usual way is a full fence on both sides, which an amd64 processor needs 20
// cycles for. But there are many commits to a sleep: with the kernel's
// membarrier, the sleeper makes every processor that runs a committer execute a
// fence at that moment, and the committer's store is an ordinary one.
//
// A process must have registered for that, which takes the kernel up to 20 ms
// in a process with threads. It is done in the background; until then, and
// where it is refused, commits are fenced. (Mathieu Desnoyers, membarrier(2);
// the idea is that of asymmetric Dekker synchronisation.)
package barrier

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Commands of membarrier(2).
const (
	globalExpedited         = 1 << 1
	registerGlobalExpedited = 1 << 2
)

var (
	registered atomic.Bool
	once       sync.Once
)

// Prepare lets this process's commits become cheap soon. Its first call
// registers, in the background.
func Prepare() {
	if !asymmetric {
		return
	}
	once.Do(func() {
		go func() {
			if membarrier(registerGlobalExpedited) == 0 {
				registered.Store(true)
			}
		}()
	})
}

// Cheap reports whether this process's commits are cheap.
func Cheap() bool { return asymmetric && registered.Load() }

// Commit stores v. Whoever sees it also sees everything that was stored before.
// If a process calls Everywhere after it has announced itself, then either it
// sees v, or who calls Commit sees the announcement afterwards.
func Commit(word *atomic.Uint64, v uint64) {
	if !asymmetric || registered.Load() {
		storeRelease(word, v)
		return
	}
	word.Swap(v) // in a program built with -race, Store is no fence
}

// Everywhere returns when each thread of each process that commits cheaply has
// executed a fence. It reports false if the kernel refuses: the caller may then
// overlook a commit.
func Everywhere() bool {
	return !asymmetric || membarrier(globalExpedited) == 0
}

func membarrier(command uintptr) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, command, 0, 0)
	return errno
}
