// Package spin is the one place where it is tuned how long to look before going
// to sleep.
//
// Sleeping and being woken on another processor costs 20 to 50 µs, so looking
// for about as long never costs more than twice the best. Pauses grow from 1 to
// 64 within one wait: each look takes the cache line away from who is to change
// it. A budget halves when looking was in vain, and doubles when it was not.
package spin

import (
	"runtime"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/pause"
)

const (
	most  = 800 // pauses of about 25 ns
	least = 50
	step  = 64
)

var (
	spinners atomic.Int32 // goroutines of this process that spin now
	room     = int32(runtime.NumCPU() - 1)
)

// A Budget is what this process has learned about one kind of wait. The zero
// value has learned nothing.
type Budget struct{ pauses atomic.Uint32 }

// Until looks until done says yes, or until it is time to sleep. One processor
// is left to whoever is to bring it about.
func (b *Budget) Until(done func() bool) bool {
	defer spinners.Add(-1)
	if spinners.Add(1) > room {
		return false
	}
	budget := b.pauses.Load()
	if budget == 0 {
		budget = most
	}
	for spent, n := uint32(0), uint32(1); spent < budget; n = min(2*n, step) {
		pause.Times(n)
		spent += n
		if done() {
			b.pauses.Store(min(2*budget, most))
			return true
		}
	}
	b.pauses.Store(max(budget/2, least))
	return false
}
