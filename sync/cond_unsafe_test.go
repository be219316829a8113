package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// A condMemory is a Cond as docs/layout.md describes it.
type condMemory struct {
	start, members atomic.Uint32
	cells          [31]atomic.Uint64
}

func memoryOf(c *psync.Cond) *condMemory { return (*condMemory)(unsafe.Pointer(c)) }

// upperHalf returns the futex of a cell.
func upperHalf(cell *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(cell), 4))
}
