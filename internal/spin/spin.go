// Package spin is the one place where it is tuned how long to look before going
// to sleep.
//
// Sleeping and being woken on another processor costs 20 to 50 µs, so looking
// for about as long never costs more than twice the best. A budget halves when
// looking was in vain, and doubles when it was not.
//
// Each look takes the cache line away from who is to change it. So one wait has
// three parts:
//
//   - A rest at first, as long as a word takes to another processor and back: no
//     answer can be here sooner. Of a dense stream many items come during a longer
//     rest, and who sends them keeps the line: see [Pace].
//   - Then a look after each pause: who waits for an answer has it at once.
//   - If it is not here after 5 µs, the other one is busy with something else:
//     the pauses double.
package spin

import (
	"runtime"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/pause"
)

// All in pauses of about 25 ns.
const (
	most  = 800 // the largest budget
	least = 50  // the smallest

	rest    = 3   // before the first look
	eager   = 192 // so long there is one pause between two looks
	longest = 64  // and then up to so many
)

var (
	spinners atomic.Int32 // goroutines of this process that spin now
	room     = int32(runtime.NumCPU() - 1)
)

// A Budget is what this process has learned about one kind of wait. The zero
// value has learned nothing.
type Budget struct{ pauses atomic.Uint32 }

// Until looks until done says yes, or until it is time to sleep. One processor
// is left to whoever is to bring it about. What is counted is the pauses: done must
// cost no more than one.
func (b *Budget) Until(done func() bool) bool { return b.until(rest, done) }

func (b *Budget) until(first uint32, done func() bool) bool {
	defer spinners.Add(-1)
	if spinners.Add(1) > room {
		return false
	}
	budget := b.pauses.Load()
	if budget == 0 {
		budget = most
	}
	for spent, n := uint32(0), first; spent < budget; n = next(spent, n) {
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

// next returns how many pauses follow after n, when some were spent in all.
func next(spent, n uint32) uint32 {
	if spent < eager {
		return 1
	}
	return min(2*n, longest)
}
