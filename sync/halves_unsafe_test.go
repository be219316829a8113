package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// halves returns the two futexes of the word that a lock begins with: the one
// with the owner, and the one with the heir.
func halves(l psync.Locker) (low, high *atomic.Uint32) {
	var word unsafe.Pointer
	switch l := l.(type) {
	case *psync.Mutex:
		word = unsafe.Pointer(l)
	case *psync.RMutex:
		word = unsafe.Pointer(l)
	case *psync.RWMutex:
		word = unsafe.Pointer(l)
	}
	return (*atomic.Uint32)(word), (*atomic.Uint32)(unsafe.Add(word, 4))
}
