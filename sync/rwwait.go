package sync

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// readBudget is how long it pays a reader to look at a taken word before it
// queues, drainBudget how long a writer to look at a reader.
var readBudget, drainBudget spin.Budget

// lock does steps 201 to 211. Without the lock held, the error is the context's
// or about the roster.
func (rw *RWMutex) lock(ctx context.Context) error {
	told := rw.takeWord(ctx)
	if told != nil && !holds(told) {
		return told
	}
	if err := rw.drain(ctx); err != nil {
		rw.letGo(roster.Me())
		return err
	}
	if probe.Enabled {
		probe.At(probe.RW211)
	}
	storeRelaxed(&rw.dirty, 1)
	return told
}

// takeWord takes the word: steps 201 and 209. If the error matches ErrOwnerDied
// it is taken, as by acquire.
func (rw *RWMutex) takeWord(ctx context.Context) error {
	if probe.Enabled {
		probe.At(probe.RW201)
	}
	if *roster.Self != 0 && rw.word.CompareAndSwap(0, *roster.Self) {
		return nil
	}
	err := acquire(ctx, &rw.word)
	if holds(err) && rw.dirty.Load() == 0 {
		probe.At(probe.RW209)
		markConsistent(&rw.word)
		return nil
	}
	return err
}

// letGo does step 213, or 219.
func (rw *RWMutex) letGo(me roster.ID) {
	if probe.Enabled {
		probe.At(probe.RW213)
	}
	if !rw.word.CompareAndSwap(uint64(me), 0) {
		release(&rw.word, me)
	}
}

// drain is step 210: it returns when nobody reads any more, or with the
// context's error. The word is held, so nobody comes.
func (rw *RWMutex) drain(ctx context.Context) error {
	if probe.Enabled {
		probe.At(probe.RW210)
	}
	for i := rw.reading(0); i < cells; i = rw.reading(i) {
		if err := rw.awaitReaders(ctx, rw.cell(i)); err != nil {
			return err
		}
	}
	return nil
}

// awaitReaders returns when the cell counts nothing.
//
// A cell that has had the count 0 and has another now woke the sleeper in
// between, so it suffices to watch the count that was seen, and its owner.
func (rw *RWMutex) awaitReaders(ctx context.Context, cell *atomic.Uint64) error {
	s := await.New(ctx)
	defer s.Stop()
	for spun := false; ; {
		w, reader, err := rw.look(ctx, cell)
		if err != nil || countOf(w) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !spun {
			spun = true
			drainBudget.Until(func() bool { return countOf(cell.Load()) == 0 })
			continue
		}
		s.Watch(highHalf(cell), countOf(w))
		s.Watch(lowHalf(cell), uint32(w))
		s.WatchLife(reader)
		probe.At(probe.RW207)
		s.Sleep(longestSleep)
		probe.At(probe.RW208)
		s.PassOn()
	}
}

// look returns what a cell counts, and of whom: nothing, or a living process's
// readers. It takes away what a dead one left: steps 205 and 204.
func (rw *RWMutex) look(ctx context.Context, cell *atomic.Uint64) (uint64, roster.Sight, error) {
	for {
		w := cell.Load()
		if countOf(w) == 0 {
			return w, roster.Sight{}, nil
		}
		reader := roster.Look(ownerOf(w))
		if reader.Alive {
			return w, reader, nil
		}
		probe.At(probe.RW205)
		if err := roster.Fence(ctx, ownerOf(w)); err != nil {
			return 0, roster.Sight{}, err
		}
		probe.At(probe.RW204)
		cell.CompareAndSwap(w, 0)
	}
}

// rLock does steps 214 to 219; or from 216 on, if the reader is counted and has
// seen that the word is taken.
func (rw *RWMutex) rLock(ctx context.Context, counted bool) error {
	me, err := roster.Join()
	if err != nil {
		return fmt.Errorf("psync: %w", err)
	}
	if counted {
		probe.At(probe.RW216)
		rw.uncount(me)
	}
	if own := rw.own(me); own != nil && own.Load()>>63 != 0 {
		return fmt.Errorf("psync: the RWMutex counts %d readers in process %d", countOf(own.Load()), os.Getpid())
	}
	if rw.tryCount(me) {
		return nil
	}
	if ctx.Err() == nil && readBudget.Until(func() bool { return rw.tryCount(me) }) {
		return nil
	}
	probe.At(probe.RW217)
	err = rw.takeWord(ctx)
	if err == nil {
		err = rw.countWithWord(ctx, me)
	} else if !holds(err) {
		return err
	}
	probe.At(probe.RW219)
	rw.letGo(me)
	return err
}

// tryCount does steps 214 to 216: it reports whether the reader is in.
func (rw *RWMutex) tryCount(me roster.ID) bool {
	if rw.word.Load() != 0 {
		return false
	}
	cell := rw.claim(me)
	if cell == nil {
		return false
	}
	if !rw.count(me, cell, probe.RW214) {
		return false // another process claimed it meanwhile
	}
	if !rw.taken() {
		return true
	}
	probe.At(probe.RW216)
	rw.uncount(me)
	return false
}

// countWithWord is step 218: the word is held, so no writer is in or comes. If
// all cells count readers it waits until one does not.
func (rw *RWMutex) countWithWord(ctx context.Context, me roster.ID) error {
	s := await.New(ctx)
	defer s.Stop()
	var fences roster.Fences
	for {
		if cell := rw.claim(me); cell != nil {
			if rw.count(me, cell, probe.RW218) {
				return nil
			}
			continue
		}
		free, bound := rw.watchAll(s, &fences)
		if free {
			s.Forget()
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		probe.At(probe.RW206)
		s.Sleep(bound)
		s.PassOn()
	}
}

// watchAll has the sleeper watch all cells, and of their owners as many as it
// can: the death of another is noticed after the bound of the sleep, which it
// returns. It reports whether a cell is free.
//
// The cell of a dead process is free after the fence. Nobody has to wait at it while
// the word is held, for any other cell does as well; and what a late thread leaves
// without waking anybody is seen after the bound.
func (rw *RWMutex) watchAll(s *await.Sleeper, fences *roster.Fences) (free bool, bound time.Duration) {
	var readers []roster.Sight
	bound = longestSleep
	for i := range cells {
		cell := rw.cell(i)
		w := cell.Load()
		if countOf(w) == 0 {
			return true, 0
		}
		s.Watch(highHalf(cell), countOf(w))
		if reader := roster.Look(ownerOf(w)); reader.Alive {
			readers = append(readers, reader)
			continue
		}
		probe.At(probe.RW205)
		if fences.Passed(ownerOf(w)) {
			probe.At(probe.RW204)
			cell.CompareAndSwap(w, 0)
			return true, 0
		}
		bound = stopping
	}
	for _, reader := range readers {
		s.WatchLife(reader)
	}
	return false, bound
}
