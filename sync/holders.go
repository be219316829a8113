package sync

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A primitive that several processes hold at once has a table of holders: an
// array of 64-bit cells, each of which says what one process holds.
//
//	63..32  count   what it holds; each primitive says what it counts. Also a futex word
//	31..0   owner   roster id; 0 = never used
//
// A cell whose owner is dead is void: nobody holds what it says. A cell with the
// count 0 is empty, whoever's it is, and may be claimed by another process.
//
// Every change of a cell is one CAS of all 64 bits, never an add: then a late
// thread of a dead process, or one whose empty cell was claimed by another
// meanwhile, fails to change it and looks again. (Only a WaitGroup stores, under a
// lock of its own, which is taken from a dead holder after the fence.)
//
// A process has at most one cell of a table, so that what it holds is one number.
// For that it claims under a mutex of its own. Which of its goroutines holds what
// is not recorded.
const countShift = 32

func countOf(w uint64) uint32 { return uint32(w >> countShift) }

func cellOf(owner roster.ID, count uint32) uint64 { return uint64(count)<<countShift | uint64(owner) }

// claiming is held by a goroutine of this process that claims a cell, of any
// table. Nobody waits under it.
var claiming sync.Mutex

// ownCell returns the cell of process me, or nil. It looks at the cell home first.
func ownCell(cells []atomic.Uint64, me roster.ID, home int) *atomic.Uint64 {
	for i := range cells {
		cell := &cells[(home+i)%len(cells)]
		if ownerOf(cell.Load()) == me {
			return cell
		}
	}
	return nil
}

// claimCell returns the cell of process me, after claiming one if it has none:
// home, or else the first after it that nobody uses, that was a dead process's,
// or that is empty, in this order. It returns nil if every cell counts something;
// what dead owners left in theirs is for the caller to take away first.
func claimCell(cells []atomic.Uint64, me roster.ID, home int) *atomic.Uint64 {
	claiming.Lock()
	defer claiming.Unlock()
	for {
		if own := ownCell(cells, me, home); own != nil {
			return own
		}
		nth := func(n int) *atomic.Uint64 { return &cells[(home+n)%len(cells)] }
		n, seen := emptyCell(len(cells), nth)
		if n < 0 {
			return nil
		}
		if cell := nth(n); cell.CompareAndSwap(seen, cellOf(me, 0)) {
			return cell
		}
	}
}

// emptyCell returns which of a table's cells may be claimed, as claimCell
// describes it, and what it contained; -1 if none may. The cells are asked for in
// the order in which they are to be tried.
func emptyCell(cells int, nth func(n int) *atomic.Uint64) (found int, seen uint64) {
	found = -1
	for n := range cells {
		w := nth(n).Load()
		switch {
		case countOf(w) != 0:
		case ownerOf(w) == 0, !roster.Look(ownerOf(w)).Alive:
			return n, w
		case found < 0:
			found, seen = n, w
		}
	}
	return found, seen
}

// longestIdle is how long a sleep for something lasts at most that nobody may have
// begun.
const longestIdle = 2 * time.Second

// idle bounds a sleep for something that nobody may have begun: 100 ms at first,
// after a second ever longer, up to longestIdle. It is for a wake that was lost with its
// killed sender; many idle sleepers should cost nothing.
func idle(s *await.Sleeper) time.Duration {
	return min(max(s.Waited()-time.Second, longestSleep), longestIdle)
}

// stopping bounds the sleep of one who has found a dead process that still stops: it
// has to look whether that is over, and until then nothing tells what a late thread
// does last.
const stopping = 5 * time.Millisecond
