package check_test

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	psync "github.com/go-multiproc/multiproc/sync"
)

// sharedLocks are locks in memory of which the race detector knows nothing.
func sharedLocks(t *testing.T) []psync.Mutex {
	t.Helper()
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(page)) })
	return unsafe.Slice((*psync.Mutex)(unsafe.Pointer(unsafe.SliceData(page))), len(page)/int(unsafe.Sizeof(psync.Mutex{})))
}

// TestNoFalseRace guards variables on the heap by locks in shared memory. Under
// -race it fails if the locks do not announce themselves.
func TestNoFalseRace(t *testing.T) {
	const goroutines, rounds = 4, 500
	locks := sharedLocks(t)[:8]
	guarded := make([]int, len(locks))
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range rounds {
				for i := range locks {
					locks[i].Lock()
					guarded[i]++
					locks[i].Unlock()
					if locks[i].TryLock() {
						guarded[i]++
						guarded[i]--
						locks[i].Unlock()
					}
				}
			}
		})
	}
	all.Wait()
	for i, n := range guarded {
		require.Equal(t, goroutines*rounds, n, "lock %d", i)
	}
}
