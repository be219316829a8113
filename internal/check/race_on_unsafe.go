//go:build race

package check

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Race tells whether the race detector is on.
const Race = true

// shadow stands in for lock words: the detector ignores mmapped memory, but
// knows this array. Two locks that fall on one element look ordered to it,
// which can hide a race and never invents one.
var shadow [4096]uint32

func shadowOf[Word atomic.Uint32 | atomic.Uint64](word *Word) unsafe.Pointer {
	a := uintptr(unsafe.Pointer(word))
	return unsafe.Pointer(&shadow[(a>>3^a>>15)%uintptr(len(shadow))])
}

// Acquire tells the race detector that the lock at word was taken.
func Acquire[Word atomic.Uint32 | atomic.Uint64](word *Word) { runtime.RaceAcquire(shadowOf(word)) }

// Release tells the race detector that the lock at word is about to be freed.
func Release[Word atomic.Uint32 | atomic.Uint64](word *Word) {
	runtime.RaceReleaseMerge(shadowOf(word))
}
