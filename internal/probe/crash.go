//go:build crash

package probe

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
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

// At marks a step, and is where an armed process ends or stops. The signal goes
// to this thread, which takes it on the way back from the call: not one more
// instruction of this goroutine runs. (A stop signal to the process would be
// taken by any thread, and stop this one a little later.)
func At(p Point) {
	if p == none || armed.Load() != uint32(p) || !armed.CompareAndSwap(uint32(p), 0) {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), signal); err != nil {
		panic("probe: tgkill: " + err.Error())
	}
}
