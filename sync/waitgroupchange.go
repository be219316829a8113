package sync

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// The state of a WaitGroup is 64 bits:
//
//	63..33  round    how often the count came to zero, modulo 2^31
//	32      lost     a member died
//	31..0   what was added and nobody has claimed
//
// A cell counts what one process has claimed. seq is 31..1 a number, 0 W:
// somebody may sleep.
//
// The steps, with the numbers of the probe points. All but 344 and 345 are done
// under mu.
//
//	Lock    331  Lock(mu)
//	        332  its holder died: finish what is on record, mark mu consistent
//	Change       (state alone: 339.  cell alone: 338)
//	        333  the round ends, or a process that had nothing claims: if seq has W, seq+1
//	        334  wake all
//	        335  seq without W
//	        336  recordState = the next state, round+1 if nothing is counted any more
//	        337  recordCell = the next cell: from here on it has happened
//	        338  cell = that
//	        339  state = that
//	        340  recordCell = 0
//	Unlock  341  Unlock(mu)
//	Dead    342  the owner of a counting cell is dead, and has passed the fence: change: cell 0, state lost.
//	             It has not: wait at the fence without mu, if at all
//	Wait    343  state: another round: return.  Lock;  seq = seq | W; Dead; nothing counted: return;  Unlock
//	             there was one that has not passed the fence: wait at it;  Lock;  Dead;  Unlock;  343
//	        344  sleep [seq as written, L of each owner as seen], at most 100 ms
//	        345  if an owner is dead now, wake the others who watch it; 343
//
// A death at any step:
//
//   - Two words change as one, by the record: whoever takes mu from a dead holder
//     finds either no record, and the group as it was, or the record, and does 338
//     to 340 again. To do them twice does no harm.
//   - Sleepers are woken before the change, and then wait for mu. So they look
//     after the change; or its maker dies, before it or after it, and they learn
//     of that at once, as all who wait for a lock. If they were woken after the
//     change, a death in between would leave them asleep with nothing to wait for.
//   - A sleeper watches the owners that it saw. 333 wakes it also when there comes
//     another: it must not sleep over the death of an owner that it has not seen.
//     An owner that dies after it was looked at has another L than was seen, so
//     the sleep ends as it begins.
//   - W goes after the wake: if the waker dies between, others are woken for
//     nothing, once.
//   - In a process each round has its own gate: who is slow to come to it, and whose
//     round is over meanwhile, does not stand behind one who waits for the next.
//   - A cell is voided after the fence, so what the dead wrote is at rest when
//     waiters go on.
const (
	groupW   = 1 << 0 // of seq
	groupSeq = 1 << 1

	groupLost  = 1 << 32 // of state
	groupRound = 1 << 33
)

func unclaimedOf(state uint64) uint64 { return state & (groupLost - 1) }

// lock takes mu: steps 331 and 332.
func (w *WaitGroup) lock(ctx context.Context) error {
	probe.At(probe.WaitGroup331)
	err := w.mu.LockContext(ctx)
	if err == nil || !holds(err) {
		return err
	}
	probe.At(probe.WaitGroup332)
	if next := w.recordCell.Load(); next != 0 {
		if cell := ownCell(w.used(), ownerOf(next), 0); cell != nil {
			w.write(cell, next, w.recordState.Load())
		}
		w.recordCell.Store(0)
	}
	w.mu.MarkConsistent()
	return nil
}

func (w *WaitGroup) unlock() {
	probe.At(probe.WaitGroup341)
	w.mu.Unlock()
}

// used returns the cells that were ever claimed.
func (w *WaitGroup) used() []atomic.Uint64 { return w.cells[:min(int(w.top.Load()), len(w.cells))] }

// total returns all that is counted.
func (w *WaitGroup) total() uint64 {
	n := unclaimedOf(w.state.Load())
	for i := range w.used() {
		n += uint64(countOf(w.cells[i].Load()))
	}
	return n
}

// ownCell returns this process's cell, the first one that is free if it has none. It
// may be a dyingError that none is.
func (w *WaitGroup) ownCell() (*atomic.Uint64, error) {
	var dying roster.ID
	for buried := false; ; {
		if cell := claimCell(w.used(), roster.Me(), 0); cell != nil {
			return cell, nil
		}
		switch n := len(w.used()); {
		case n < len(w.cells):
			w.top.Store(uint32(n + 1))
		case dying != 0:
			return nil, dyingError(dying)
		case buried:
			return nil, fmt.Errorf("psync: Claim of a WaitGroup of which %d other processes have claimed a part: no room for one more", n)
		default:
			dying, buried = w.bury(nil), true
		}
	}
}

// change does steps 333 to 340: the cell, which may be nil, is to contain cellNext,
// and the state to be next, apart from the round.
func (w *WaitGroup) change(cell *atomic.Uint64, cellNext, next uint64) {
	state, before := w.state.Load(), w.total()
	after, newOwner := before-unclaimedOf(state)+unclaimedOf(next), false
	if cell != nil {
		had, has := countOf(cell.Load()), countOf(cellNext)
		after += uint64(has) - uint64(had)
		newOwner = had == 0 && has != 0
	}
	ends := before != 0 && after == 0
	if ends {
		next += groupRound
	}
	if ends || newOwner {
		w.rouse()
	}
	if check.Race {
		check.Release(&w.state)
	}
	switch {
	case cell == nil:
		probe.At(probe.WaitGroup339)
		w.state.Store(next)
	case next == state:
		probe.At(probe.WaitGroup338)
		cell.Store(cellNext)
	default:
		probe.At(probe.WaitGroup336)
		w.recordState.Store(next)
		probe.At(probe.WaitGroup337)
		w.recordCell.Store(cellNext)
		w.write(cell, cellNext, next)
		w.recordCell.Store(0)
	}
}

// write does what is on record: steps 338 to 340, but for the end of the record.
func (w *WaitGroup) write(cell *atomic.Uint64, cellNext, next uint64) {
	probe.At(probe.WaitGroup338)
	cell.Store(cellNext)
	probe.At(probe.WaitGroup339)
	w.state.Store(next)
	probe.At(probe.WaitGroup340)
}

// rouse wakes all sleepers: steps 333 to 335. A waiter that has announced itself
// and does not sleep yet finds another seq, and does not sleep.
func (w *WaitGroup) rouse() {
	seq := w.seq.Load()
	if seq&groupW == 0 {
		return
	}
	probe.At(probe.WaitGroup333)
	w.seq.Store(seq + groupSeq)
	probe.At(probe.WaitGroup334)
	futex.Wake(&w.seq, futex.All)
	probe.At(probe.WaitGroup335)
	w.seq.Store((seq + groupSeq) &^ groupW)
}

// bury gives back what dead processes had claimed: step 342. A sleeper, if there
// is one, is told to watch the living.
//
// Others wait for mu, and the thread of a dead process can take long to stop. So under
// mu it only asks whether that has happened; until it has, what the process claimed
// still counts, and its late thread can still be done with it. It returns such a
// process, which its caller may settle, without mu; 0 if there is none.
func (w *WaitGroup) bury(s *await.Sleeper) (dying roster.ID) {
	for i := range w.used() {
		cell := &w.cells[i]
		content := cell.Load()
		if countOf(content) == 0 {
			continue
		}
		owner := ownerOf(content)
		if sight := roster.Look(owner); sight.Alive {
			if s != nil {
				s.WatchLife(sight)
			}
			continue
		}
		probe.At(probe.WaitGroup342)
		if roster.Fence(ended, owner) != nil {
			dying = owner
			continue
		}
		w.giveBack(cell, owner)
	}
	return dying
}

// giveBack takes away what a dead process has claimed. It has stopped, so its cell
// does not change any more.
func (w *WaitGroup) giveBack(cell *atomic.Uint64, owner roster.ID) {
	w.change(cell, cellOf(owner, 0), w.state.Load()|groupLost)
}

// settle is step 342 for one dead process, without mu until that has stopped.
func (w *WaitGroup) settle(ctx context.Context, owner roster.ID) error {
	if err := roster.Fence(ctx, owner); err != nil {
		return err
	}
	if err := w.lock(ctx); err != nil {
		return err
	}
	defer w.unlock()
	if cell := ownCell(w.used(), owner, 0); cell != nil && countOf(cell.Load()) != 0 {
		w.giveBack(cell, owner)
	}
	return nil
}
