package sync

import (
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// used returns the cells below top.
func (b *BoundedSemaphore) used() []atomic.Uint64 {
	return b.cells[:min(b.top.Load(), boundedCells)]
}

// sum returns what is claimed and held in all, by the living and the dead.
func (b *BoundedSemaphore) sum() (n uint32) {
	cells := b.used()
	for i := range cells {
		w := cells[i].Load()
		n += claimedOf(w) + heldOf(w)
	}
	return n
}

// wake follows each change of a cell that leaves more permits to others.
func (b *BoundedSemaphore) wake() {
	if b.line.Load() == lineSleeps {
		b.seq.Add(1)
		futex.Wake(&b.seq, 1)
	}
}

// own returns this process's cell, after claiming one if it has none; nil if there
// is none to claim. The cell is below top, so whoever looks sees it.
func (b *BoundedSemaphore) own(me roster.ID) *atomic.Uint64 {
	if cell := ownCell(b.used(), me, 0); cell != nil {
		return cell
	}
	cell := claimCell(b.cells[:], me, 0)
	if cell == nil {
		return nil
	}
	below := uint32(1)
	for &b.cells[below-1] != cell {
		below++
	}
	for top := b.top.Load(); top < below && !b.top.CompareAndSwap(top, below); top = b.top.Load() {
	}
	return cell
}

// claimed reports whether any process claims anything.
func (b *BoundedSemaphore) claimed() bool {
	cells := b.used()
	for i := range cells {
		if claimedOf(cells[i].Load()) != 0 {
			return true
		}
	}
	return false
}

// held returns what is held in all, by the living and the dead.
func (b *BoundedSemaphore) held() (n uint32) {
	cells := b.used()
	for i := range cells {
		n += heldOf(cells[i].Load())
	}
	return n
}

// survey is step 248: it takes away what dead processes have left, and names
// those of the living that have claimed or hold anything. It returns how much is
// left in all, and whether there was anything to take away.
//
// A dead process that has not passed the fence keeps what it has: dying says that
// there is one. A late thread of it can give back as well, and wake nobody.
func (b *BoundedSemaphore) survey(fences *roster.Fences, alive func(roster.Sight)) (sum uint32, voided, dying bool) {
	cells := b.used()
	for i := range cells {
		w := cells[i].Load()
		if countOf(w) == 0 {
			continue
		}
		sight := roster.Look(ownerOf(w))
		if !sight.Alive {
			probe.At(probe.Bound248)
			if fences.Passed(ownerOf(w)) {
				cells[i].CompareAndSwap(w, 0)
				voided = true
				continue
			}
			dying = true
		} else {
			alive(sight)
		}
		sum += claimedOf(w) + heldOf(w)
	}
	return sum, voided, dying
}
