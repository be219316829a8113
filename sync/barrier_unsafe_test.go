package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// A barrier's words; see docs/layout.md.
func barrierStateOf(b *psync.Barrier) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(b)) }

func cellsOf(b *psync.Barrier) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Add(unsafe.Pointer(b), 16)), 62)
}
