package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// wordOf returns a reader of the word that a lock begins with.
func wordOf[L psync.Mutex | psync.RMutex](lock *L) func() uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(lock)).Load
}
