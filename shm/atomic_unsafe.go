package shm

import (
	"sync/atomic"
	"unsafe"
)

// Elements are aligned to their size: segments are aligned to pages, data in
// them to cache lines.

func atomicAdd[T Atomic](p *T, delta T) T {
	if unsafe.Sizeof(delta) == 4 {
		return T((*atomic.Uint32)(unsafe.Pointer(p)).Add(uint32(delta)))
	}
	return T((*atomic.Uint64)(unsafe.Pointer(p)).Add(uint64(delta)))
}

func atomicCompareAndSwap[T Atomic](p *T, old, next T) bool {
	if unsafe.Sizeof(old) == 4 {
		return (*atomic.Uint32)(unsafe.Pointer(p)).CompareAndSwap(uint32(old), uint32(next))
	}
	return (*atomic.Uint64)(unsafe.Pointer(p)).CompareAndSwap(uint64(old), uint64(next))
}
