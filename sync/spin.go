package sync

import (
	"runtime"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/pause"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// How long to look before going to sleep: the one place where that is tuned.
//
// Sleeping and being woken on another processor costs 20 to 50 µs, so looking
// for about as long never costs more than twice the best. Pauses grow from 1 to
// 64 within one wait: each look takes the cache line away from the holder. The
// budget is the process's: it halves when looking was in vain, and doubles when
// it was not.
const (
	spinMost  = 800 // pauses of about 25 ns
	spinLeast = 50
	spinStep  = 64
)

var (
	spinBudget atomic.Uint32 // what was learned; 0 = nothing yet
	spinners   atomic.Int32  // goroutines that spin now
	spinRoom   = int32(runtime.NumCPU() - 1)
)

// spin takes the lock if it becomes free and unmarked soon. One processor is
// left to whoever is to free it.
func spin(word *atomic.Uint64, me roster.ID) bool {
	defer spinners.Add(-1)
	if spinners.Add(1) > spinRoom {
		return false
	}
	budget := spinBudget.Load()
	if budget == 0 {
		budget = spinMost
	}
	for spent, n := uint32(0), uint32(1); spent < budget; n = min(2*n, spinStep) {
		pause.Times(n)
		spent += n
		if word.Load() == 0 && word.CompareAndSwap(0, uint64(me)) {
			spinBudget.Store(min(2*budget, spinMost))
			return true
		}
	}
	spinBudget.Store(max(budget/2, spinLeast))
	return false
}
