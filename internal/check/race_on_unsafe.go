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

func shadowOf(word *atomic.Uint64) unsafe.Pointer {
	a := uintptr(unsafe.Pointer(word))
	return unsafe.Pointer(&shadow[(a>>3^a>>15)%uintptr(len(shadow))])
}

// Acquire tells the race detector that the lock at word was taken.
func Acquire(word *atomic.Uint64) { runtime.RaceAcquire(shadowOf(word)) }

// Release tells the race detector that the lock at word is about to be freed.
func Release(word *atomic.Uint64) { runtime.RaceReleaseMerge(shadowOf(word)) }
