//go:build !mips && !mips64 && !ppc64 && !s390x

// The halves of a lock word lie as on little-endian processors. For the others
// the build stops at the missing lowHalf and highHalf.

package sync

import (
	"sync/atomic"
	"unsafe"
)

// The layout is a file format: C and Python programs read it. A change here is
// a new version, and these lines are meant to stop the build first.
var (
	_ [8]byte = [unsafe.Sizeof(Mutex{})]byte{}
	_ [0]byte = [unsafe.Offsetof(Mutex{}.word)]byte{}

	_ [24]byte = [unsafe.Sizeof(RMutex{})]byte{}
	_ [8]byte  = [unsafe.Offsetof(RMutex{}.holder)]byte{}
	_ [16]byte = [unsafe.Offsetof(RMutex{}.depth)]byte{}

	_ [1024]byte = [unsafe.Sizeof(RWMutex{})]byte{}
	_ [8]byte    = [unsafe.Offsetof(RWMutex{}.dirty)]byte{}
	_ [16]byte   = [unsafe.Offsetof(RWMutex{}.used)]byte{}
	_ [64]byte   = [unsafe.Offsetof(RWMutex{}.lines)]byte{}

	_ [24]byte = [unsafe.Sizeof(Semaphore{})]byte{}
	_ [8]byte  = [unsafe.Offsetof(Semaphore{}.turn)]byte{}
	_ [16]byte = [unsafe.Offsetof(Semaphore{}.initial)]byte{}
	_ [20]byte = [unsafe.Offsetof(Semaphore{}.giver)]byte{}

	_ [512]byte = [unsafe.Sizeof(BoundedSemaphore{})]byte{}
	_ [8]byte   = [unsafe.Offsetof(BoundedSemaphore{}.limit)]byte{}
	_ [12]byte  = [unsafe.Offsetof(BoundedSemaphore{}.line)]byte{}
	_ [16]byte  = [unsafe.Offsetof(BoundedSemaphore{}.seq)]byte{}
	_ [20]byte  = [unsafe.Offsetof(BoundedSemaphore{}.top)]byte{}
	_ [24]byte  = [unsafe.Offsetof(BoundedSemaphore{}.cells)]byte{}

	_ [256]byte = [unsafe.Sizeof(Cond{})]byte{}
	_ [0]byte   = [unsafe.Offsetof(Cond{}.start)]byte{}
	_ [4]byte   = [unsafe.Offsetof(Cond{}.members)]byte{}
	_ [8]byte   = [unsafe.Offsetof(Cond{}.cells)]byte{}

	_ [4]byte = [unsafe.Sizeof(Event{})]byte{}

	_ [512]byte = [unsafe.Sizeof(Barrier{})]byte{}
	_ [0]byte   = [unsafe.Offsetof(Barrier{}.state)]byte{}
	_ [8]byte   = [unsafe.Offsetof(Barrier{}.members)]byte{}
	_ [12]byte  = [unsafe.Offsetof(Barrier{}.cut)]byte{}
	_ [16]byte  = [unsafe.Offsetof(Barrier{}.cells)]byte{}

	_ [16]byte = [unsafe.Sizeof(Once{})]byte{}
	_ [8]byte  = [unsafe.Offsetof(Once{}.done)]byte{}

	_ [512]byte = [unsafe.Sizeof(WaitGroup{})]byte{}
	_ [8]byte   = [unsafe.Offsetof(WaitGroup{}.seq)]byte{}
	_ [16]byte  = [unsafe.Offsetof(WaitGroup{}.state)]byte{}
	_ [40]byte  = [unsafe.Offsetof(WaitGroup{}.cells)]byte{}
)

// lowHalf is the futex on which waiters sleep, highHalf the one of the heir.
func lowHalf(word *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(word))
}

func highHalf(word *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(word), 4))
}
