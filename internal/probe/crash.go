//go:build crash

package probe

import (
	"os"
	"sync/atomic"
	"syscall"
)

// Enabled guards marks on paths where even an empty call counts.
const Enabled = true

var (
	armed  atomic.Uint32 // the Point at which to act
	signal syscall.Signal
)

// Arm makes this process send itself sig (SIGKILL or SIGSTOP) when it first
// comes to p. A stopped process goes on from there when it is continued.
func Arm(p Point, sig syscall.Signal) {
	signal = sig
	armed.Store(uint32(p))
}

// At marks a step, and is where an armed process ends or stops.
func At(p Point) {
	if p != none && armed.Load() == uint32(p) && armed.CompareAndSwap(uint32(p), 0) {
		// A fatal signal to the whole process is taken on the way back from
		// this call: not one more instruction of this goroutine runs.
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			panic("probe: kill: " + err.Error())
		}
	}
}
