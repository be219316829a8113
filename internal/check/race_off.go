//go:build !race

package check

import "sync/atomic"

// Race tells whether the race detector is on.
const Race = false

// Acquire does nothing without the race detector.
func Acquire[Word atomic.Uint32 | atomic.Uint64](*Word) {}

// Release does nothing without the race detector.
func Release[Word atomic.Uint32 | atomic.Uint64](*Word) {}
