package sync_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	psync "github.com/go-multiproc/multiproc/sync"
)

// wholeWord returns the 64 bits that a lock begins with.
func wholeWord(l psync.Locker) *atomic.Uint64 {
	low, _ := halves(l)
	return (*atomic.Uint64)(unsafe.Pointer(low))
}

// sleepByHand plays a process that sleeps on the word as it is now, but without
// the bound of a true one: only a wake ends it. It returns when the sleeper
// sleeps; the channel is closed when it was woken.
func sleepByHand(word *atomic.Uint32) <-chan struct{} {
	woken, thread := make(chan struct{}), make(chan int)
	val := word.Load()
	go func() {
		defer close(woken)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		if err := futex.Wait(word, val, 0); err != nil {
			panic(err)
		}
	}()
	asleep := fmt.Sprintf("%d %#x ", unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)))
	path := fmt.Sprintf("/proc/self/task/%d/syscall", <-thread)
	for {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		if strings.HasPrefix(string(text), asleep) {
			return woken
		}
		runtime.Gosched()
	}
}

// awaitTrueSleeper returns when a thread of the process sleeps on a lock.
func awaitTrueSleeper(t *testing.T, pid int) {
	t.Helper()
	for !asleepOnLock(t, pid) {
		runtime.Gosched()
	}
}

func asleepOnLock(t *testing.T, pid int) bool {
	t.Helper()
	asleep := fmt.Sprintf("%d ", unix.SYS_FUTEX_WAITV)
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	require.NoError(t, err)
	for _, path := range paths {
		// What cannot be read is a thread that has just ended.
		if text, _ := os.ReadFile(path); strings.HasPrefix(string(text), asleep) {
			return true
		}
	}
	return false
}

// turn takes a lock and lets it go.
func turn(l psync.Locker) {
	l.Lock()
	defer l.Unlock()
}

// await fails the test if nothing comes.
func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal("waited a minute for " + what)
	}
	return v
}
