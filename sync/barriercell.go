package sync

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Barrier's cells are a table of holders, where the count is no number:
//
//	63      registered
//	62      entered: bits 60..32 are valid
//	60..32  the generation in which a goroutine of the process was inside last
//
// A process is a member if it is registered, or entered in the present generation. A cell
// that makes nobody a member any more is stale: it stays its owner's, who
// will need it in the next round, until somebody needs the place.
const (
	cellRegistered = 1 << 63
	cellEntered    = 1 << 62
	cellGeneration = generationMask << countShift
)

// member reports whether a cell with the content v makes its owner a member in
// generation g.
func member(v uint64, g uint32) bool {
	return v&cellRegistered != 0 || v&cellEntered != 0 && v&cellGeneration>>countShift == uint64(g)
}

// Register makes this process a member: when it ends in any way, the barrier
// breaks at once, although no goroutine of it is inside. Registering twice is
// the same as once. It returns an error if this process cannot take part; see Wait.
func (b *Barrier) Register() error {
	me, err := roster.Join()
	if err != nil {
		return fmt.Errorf("psync: %w", err)
	}
	if _, err := b.usable(); err != nil {
		return err
	}
	for {
		cell, v, err := b.own(me)
		if err != nil {
			return err
		}
		if cell.CompareAndSwap(v, v|cellRegistered) {
			return nil
		}
	}
}

// Unregister takes Register back. It does nothing if this process is not
// registered. A process that has finished calls it before it ends.
func (b *Barrier) Unregister() {
	me := roster.Me()
	if me == 0 {
		return
	}
	for {
		cell := ownCell(b.cells[:], me, 0)
		if cell == nil {
			return
		}
		v := cell.Load()
		if ownerOf(v) == me && cell.CompareAndSwap(v, v&^cellRegistered) {
			return
		}
	}
}

// own returns this process's cell and its content, after claiming one if there is
// none. Whoever may find it empty announces it: the first mark comes after that.
func (b *Barrier) own(me roster.ID) (*atomic.Uint64, uint64, error) {
	for {
		cell := ownCell(b.cells[:], me, 0)
		if cell == nil {
			cell = claimCell(b.cells[:], me, 0)
		}
		if cell == nil {
			if !b.sweep() {
				return nil, 0, fmt.Errorf("psync: no place at the barrier: %d processes are inside or registered", len(b.cells))
			}
			continue
		}
		v := cell.Load()
		if ownerOf(v) != me {
			continue // it was stale, and another process needed it
		}
		if countOf(v) == 0 {
			b.members.Add(1)
			futex.Wake(&b.members, futex.All)
		}
		return cell, v, nil
	}
}

// enter is step 302. If generation g is over meanwhile it may do nothing: whoever
// loads the cell before the state cannot put an earlier generation in the place of
// a later one.
func (b *Barrier) enter(me roster.ID, g uint32) error {
	for {
		cell, v, err := b.own(me)
		if err != nil {
			return err
		}
		if member(v&^cellRegistered, g) || b.load().generation() != g {
			return nil
		}
		next := v&cellRegistered | cellEntered | uint64(g)<<countShift | uint64(me)
		probe.At(probe.Bar302)
		if cell.CompareAndSwap(v, next) {
			return nil
		}
	}
}

// bereft is step 303: it reports whether another member of generation g is dead.
func (b *Barrier) bereft(me roster.ID, g uint32) bool {
	for i := range b.cells {
		v := b.cells[i].Load()
		if id := ownerOf(v); id != me && member(v, g) && !roster.Look(id).Alive {
			return true
		}
	}
	return false
}

// watch tells the sleeper to watch the processes of all cells, members or not, and
// new ones. It reports whether a member is dead, and how long the sleep may last.
//
// A late thread of a dead process can still mark its cell and be counted, as the last
// of its round even, and then nothing would wake the sleeper any more. So a sleep for
// long comes after the fence, and one more look. The sleeper does not wait for that:
// it sleeps for a moment, and has missed as little of the others as of the late thread
// when it looks again. After the fence the cell is nobody's: its generation would come
// again after 2^29 rounds.
func (b *Barrier) watch(s *await.Sleeper, fences *roster.Fences, me roster.ID, g uint32) (bereft bool, bound time.Duration) {
	bound = idle(s)
	s.Watch(&b.members, b.members.Load())
	for i := range b.cells {
		cell := &b.cells[i]
		v := cell.Load()
		id := ownerOf(v)
		if id == 0 || id == me {
			continue
		}
		if sight := roster.Look(id); sight.Alive {
			s.WatchLife(sight)
			continue
		}
		passed := fences.Passed(id)
		if passed {
			v = cell.Load()
		} else {
			bound = min(bound, stopping)
		}
		switch {
		case ownerOf(v) != id: // and whoever has it now is announced
		case member(v, g):
			return true, 0
		case passed && !member(v, b.load().generation()): // as in vacate
			cell.CompareAndSwap(v, 0)
		}
	}
	return false, bound
}

// sweep empties all stale cells. It reports whether there was one.
func (b *Barrier) sweep() (found bool) {
	for i := range b.cells {
		if b.vacate(&b.cells[i], b.cells[i].Load()) {
			found = true
		}
	}
	return found
}

// vacate empties a cell with the content v if it is stale. The generation is loaded
// after v: one that was over then is over for ever.
func (b *Barrier) vacate(cell *atomic.Uint64, v uint64) bool {
	if countOf(v) == 0 || member(v, b.load().generation()) {
		return false
	}
	return cell.CompareAndSwap(v, cellOf(ownerOf(v), 0))
}

// bury empties the cells of the dead while the state is w, broken. Of a later
// generation nobody may be forgotten, so the state is looked at after the cell.
//
// What is in a cell counts only after the fence: until then a late thread can
// register its process, be it in a cell that said nothing. One that claims a cell
// after bury has passed it is not forgotten: it breaks the barrier once more.
func (b *Barrier) bury(w barrierState) {
	for i := range b.cells {
		cell := &b.cells[i]
		for id := ownerOf(cell.Load()); id != 0 && !roster.Look(id).Alive; id = ownerOf(cell.Load()) {
			_ = roster.Fence(context.Background(), id) // that context never ends
			v := cell.Load()
			if b.load() != w {
				return
			}
			if ownerOf(v) == id {
				cell.CompareAndSwap(v, 0)
			}
		}
	}
}
