package sync

import (
	"math/bits"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// The cells of an RWMutex. The home of a process is the first cell of the line
// that its id says; if that is taken it goes from line to line, and only when
// the first cells of all lines are taken to the second ones.
const (
	readLines   = 15
	cellsOfLine = 8
)

const (
	cells     = readLines * cellsOfLine
	oneReader = 1 << countShift

	// ownMask is for one comparison that says whether a cell is a process's and
	// can count one more: the highest bit of a count stays clear.
	ownMask = 1<<63 | 1<<countShift - 1
)

// home returns where the cell of process self is, unless that was taken.
func (rw *RWMutex) home(self uint64) *atomic.Uint64 { return &rw.lines[uint32(self)%readLines][0] }

// cell returns the i-th cell in memory.
func (rw *RWMutex) cell(i int) *atomic.Uint64 { return &rw.lines[i/cellsOfLine][i%cellsOfLine] }

// nthCell returns which cell process me tries as the n-th.
func nthCell(me roster.ID, n int) int {
	return (int(me)+n)%readLines*cellsOfLine + n/readLines
}

// reading returns the first cell from i on that counts readers, or how many
// there are. It looks at those only that were ever claimed: the bit of a cell is
// set before any count in it, and this load comes after the word was taken.
func (rw *RWMutex) reading(i int) int {
	for half := i / 64; half < len(rw.used); half++ {
		used := rw.used[half].Load()
		if half == i/64 {
			used &^= 1<<(i%64) - 1
		}
		for ; used != 0; used &= used - 1 {
			n := half*64 + bits.TrailingZeros64(used)
			if n >= cells || countOf(rw.cell(n).Load()) != 0 {
				return n
			}
		}
	}
	return cells
}

// own returns the cell of process me, or nil.
func (rw *RWMutex) own(me roster.ID) *atomic.Uint64 {
	for n := range cells {
		if cell := rw.cell(nthCell(me, n)); ownerOf(cell.Load()) == me {
			return cell
		}
	}
	return nil
}

// claim returns the cell of process me, after claiming one if it has none. It
// returns nil if every cell counts something.
func (rw *RWMutex) claim(me roster.ID) *atomic.Uint64 {
	if own := rw.own(me); own != nil {
		return own
	}
	claiming.Lock()
	defer claiming.Unlock()
	for {
		if own := rw.own(me); own != nil {
			return own
		}
		n, seen := emptyCell(cells, func(n int) *atomic.Uint64 { return rw.cell(nthCell(me, n)) })
		if n < 0 {
			return nil
		}
		i := nthCell(me, n)
		probe.At(probe.RW202)
		rw.used[i/64].Or(1 << (i % 64))
		probe.At(probe.RW203)
		if rw.cell(i).CompareAndSwap(seen, cellOf(me, 0)) {
			return rw.cell(i)
		}
	}
}

// countMe is step 214 for a process whose cell is its home. It is small enough
// to be inlined.
func (rw *RWMutex) countMe() bool {
	self := *roster.Self
	cell := rw.home(self)
	c := cell.Load()
	if self == 0 || c&ownMask != self || rw.word.Load() != 0 {
		return false
	}
	if probe.Enabled {
		probe.At(probe.RW214)
	}
	return cell.CompareAndSwap(c, c+oneReader)
}

// taken is step 215.
func (rw *RWMutex) taken() bool {
	if probe.Enabled {
		probe.At(probe.RW215)
	}
	return rw.word.Load() != 0
}

// count counts one reader more in a cell: step 214 or 218. It reports false if
// the cell is another process's.
func (rw *RWMutex) count(me roster.ID, cell *atomic.Uint64, step probe.Point) bool {
	for {
		c := cell.Load()
		if ownerOf(c) != me {
			return false
		}
		probe.At(step)
		if cell.CompareAndSwap(c, c+oneReader) {
			return true
		}
	}
}

// uncount takes one reader away, and wakes who waits for the last: steps 220 and
// 221, or 216. It reports false if there is none.
func (rw *RWMutex) uncount(me roster.ID) bool {
	for {
		cell := rw.own(me)
		if cell == nil {
			return false
		}
		c := cell.Load()
		if ownerOf(c) != me {
			continue // it was empty, and another process has claimed it
		}
		if countOf(c) == 0 {
			return false
		}
		if !cell.CompareAndSwap(c, c-oneReader) {
			continue
		}
		if countOf(c) == 1 {
			rw.wake(cell)
		}
		return true
	}
}

// wake wakes who waits for the readers of a cell: a writer, or a reader who
// needs a cell, and either has the word. The count was changed before the word
// is looked at here; the other took the word before it looked at the count.
func (rw *RWMutex) wake(cell *atomic.Uint64) {
	if rw.word.Load() == 0 {
		return
	}
	if probe.Enabled {
		probe.At(probe.RW221)
	}
	futex.Wake(highHalf(cell), futex.All)
}
