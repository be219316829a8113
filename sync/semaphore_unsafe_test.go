package sync_test

import (
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// The words of a BoundedSemaphore, for tests that play bad memory.
type boundedWords struct {
	turn                  uint64
	limit, line, seq, top uint32
	cells                 [61]uint64
}

func boundedWordsOf(b *psync.BoundedSemaphore) *boundedWords {
	return (*boundedWords)(unsafe.Pointer(b))
}

func topOf(b *psync.BoundedSemaphore) *uint32 { return &boundedWordsOf(b).top }

// giverOf returns who put permits into a Semaphore last, with somebody in line.
func giverOf(s *psync.Semaphore) *uint32 { return (*uint32)(unsafe.Add(unsafe.Pointer(s), 20)) }

// stateOf returns a Semaphore's state.
func stateOf(s *psync.Semaphore) *uint64 { return (*uint64)(unsafe.Pointer(s)) }
