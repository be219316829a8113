//go:build !race

package check

import "sync/atomic"

// Race tells whether the race detector is on.
const Race = false

// Acquire does nothing without the race detector.
func Acquire(*atomic.Uint64) {}

// Release does nothing without the race detector.
func Release(*atomic.Uint64) {}
