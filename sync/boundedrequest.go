package sync

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// boundedBudget is how long it pays to look at the cells before sleeping.
var boundedBudget spin.Budget

// A request is one goroutine's way to n permits of a BoundedSemaphore; for the
// steps see there.
type request struct {
	b  *BoundedSemaphore
	me roster.ID
	n  uint32
}

// quick is step 241. It reports whether it got the permits.
func (r request) quick() bool {
	probe.At(probe.Bound241)
	return r.b.line.Load() == lineOpen && r.look(false)
}

// look is steps 242 to 245. It reports whether it got the permits.
func (r request) look(first bool) bool {
	probe.At(probe.Bound242)
	cell := r.claim()
	if cell == nil {
		return false
	}
	probe.At(probe.Bound243)
	if (first || r.b.line.Load() == lineOpen) && r.b.sum() <= r.b.limit.Load() {
		probe.At(probe.Bound244)
		r.settle(cell, r.n)
		return true
	}
	probe.At(probe.Bound245)
	r.settle(cell, 0)
	if !first {
		r.b.wake()
	}
	return false
}

// claim is step 242. It returns this process's cell; nil if it can have none, or
// has no room in it.
func (r request) claim() *atomic.Uint64 {
	for {
		cell := r.b.own(r.me)
		if cell == nil {
			return nil
		}
		w := cell.Load()
		if ownerOf(w) != r.me {
			continue // it was empty, and another process claimed it
		}
		if claimedOf(w)+r.n > boundedMost {
			return nil
		}
		if cell.CompareAndSwap(w, w+uint64(r.n)<<claimedShift) {
			return cell
		}
	}
}

// settle is steps 244 and 245: it takes the claim away, and holds n for it. A cell
// with a claim is nobody else's, unless its process was taken for dead.
func (r request) settle(cell *atomic.Uint64, n uint32) {
	for {
		w := cell.Load()
		if ownerOf(w) != r.me || claimedOf(w) < r.n || heldOf(w)+n > boundedMost {
			panic(fmt.Sprintf("psync: bad memory: a process that claims %d permits of a bounded semaphore finds its cell to be %#x", r.n, w))
		}
		if cell.CompareAndSwap(w, w-uint64(r.n)<<claimedShift+uint64(n)<<heldShift) {
			return
		}
	}
}

// inLine is steps 246 to 251.
func (r request) inLine(ctx context.Context) error {
	probe.At(probe.Bound246)
	if err := enterLine(ctx, &r.b.turn); err != nil {
		return err
	}
	defer r.leave()
	s := await.New(ctx)
	defer s.Stop()
	var fences roster.Fences

	probe.At(probe.Bound247)
	r.b.line.Store(lineClosed)
	for spun := false; ; {
		if spun {
			r.b.line.Store(lineSleeps) // each time: a late thread may have said otherwise
		}
		seq := r.b.seq.Load()
		if r.look(true) {
			return nil
		}
		sum, voided, dying := r.b.survey(&fences, func(sight roster.Sight) { s.WatchLife(sight) })
		err := ctx.Err()
		switch free := sum+r.n <= r.b.limit.Load() && r.b.own(r.me) != nil; {
		case voided, free && err == nil:
			s.Forget()
			continue
		case err != nil:
			return err
		case !spun:
			spun = true
			boundedBudget.Until(func() bool { return r.b.sum()+r.n <= r.b.limit.Load() })
			s.Forget()
			continue
		}
		bound := longestSleep
		if dying {
			bound = stopping
		}
		probe.At(probe.Bound249)
		s.Watch(&r.b.seq, seq)
		s.Sleep(bound)
		s.PassOn()
	}
}

// try is inLine for one who does not wait for permits. A no comes from a moment at
// which nobody claimed, from when on what was held could only fall; all whose
// permits count lived then.
func (r request) try() bool {
	var p patience
	for enterLine(ended, &r.b.turn) != nil {
		if r.b.line.Load() == lineSleeps && firstLives(&r.b.turn) || !p.more() {
			return false
		}
	}
	defer r.leave()
	probe.At(probe.Bound247)
	r.b.line.Store(lineClosed)
	var fences roster.Fences
	for !r.look(true) {
		settled := !r.b.claimed()
		_, voided, dying := r.b.survey(&fences, func(roster.Sight) {})
		no := r.b.held()+r.n > r.b.limit.Load() || r.b.own(r.me) == nil
		if settled && !voided && !dying && no || !p.more() {
			return false
		}
	}
	return true
}

// leave is steps 250 and 251.
func (r request) leave() {
	probe.At(probe.Bound250)
	if !lineFollows(&r.b.turn) {
		r.b.line.Store(lineOpen)
	}
	probe.At(probe.Bound251)
	leaveLine(&r.b.turn)
}

// patience gives others time for the few steps that they are in the middle of.
type patience struct {
	looks int
	began time.Time
}

// more reports whether there is patience left, after some time.
func (p *patience) more() bool {
	const yields = 20
	switch p.looks++; {
	case p.looks == 1:
		p.began = time.Now()
	case p.looks > yields:
		time.Sleep(50 * time.Microsecond)
	}
	runtime.Gosched()
	return time.Since(p.began) < longestSleep
}
