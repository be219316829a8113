package sync

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// barrierBudget is how long it pays to look for the other parties before sleeping.
var barrierBudget spin.Budget

// arrive does steps 301 to 304. It returns the state in which this party was
// counted.
func (b *Barrier) arrive(ctx context.Context, me roster.ID, acts bool) (barrierState, error) {
	for {
		probe.At(probe.Bar301)
		w, err := b.usable()
		if err != nil {
			return 0, err
		}
		switch g := w.generation(); w.status() {
		case statusBroken:
			return 0, ErrBroken
		case statusActing:
			if err := b.await(ctx, me, g); err != nil {
				return 0, err
			}
			continue
		}
		if err := b.enter(me, w.generation()); err != nil {
			return 0, err
		}
		probe.At(probe.Bar303)
		if b.bereft(me, w.generation()) {
			b.fail(w.generation())
			continue
		}
		next := w + 1<<arrivedShift
		if next.arrived() == w.parties() {
			b.forgetCut()
			if next = w.next(); acts {
				next = w.with(w.generation(), statusActing) | w&barrierW
			}
		}
		probe.At(probe.Bar304)
		if b.change(w, next) {
			return w, nil
		}
	}
}

// attend waits, as a party inside generation g, for its end.
func (b *Barrier) attend(ctx context.Context, me roster.ID, g uint32) error {
	if err := b.await(ctx, me, g); err != nil && b.fail(g) {
		return err
	}
	return b.outcome(g)
}

// await is step 305: it returns nil when generation g is over or broken, and
// the context's error if that ends first.
func (b *Barrier) await(ctx context.Context, me roster.ID, g uint32) error {
	over := func() bool { return b.load().over(g) }
	if over() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if barrierBudget.Until(over) {
		return nil
	}
	gate, err := enterRound(ctx, lowHalf(&b.state), g)
	if err != nil {
		return err
	}
	defer gate.leave()

	s := await.New(ctx)
	defer s.Stop()
	var fences roster.Fences
	for {
		w := b.load()
		if w.over(g) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w&barrierW == 0 && !b.change(w, w|barrierW) {
			continue
		}
		s.Watch(lowHalf(&b.state), uint32(w|barrierW))
		bereft, bound := b.watch(s, &fences, me, g)
		if bereft {
			s.Forget()
			b.fail(g)
			continue
		}
		probe.At(probe.Bar305)
		s.Sleep(bound)
		s.PassOn()
	}
}

// outcome tells how generation g, which is over or broken, has ended.
//
// Reset notes in cut which generation it ends before it ends it. So if the state
// shows another one, what cut says after that is g or a later one if g was cut. It
// may be a later one as well if g was completed: whoever is that late is told the
// worse. What is read of the state after cut is no earlier than cut.
func (b *Barrier) outcome(g uint32) error {
	if b.load().generation() == g {
		return ErrBroken
	}
	cut := b.cut.Load()
	if cut != 0 && since(g, cut>>generationShift) <= since(g, b.load().generation()) {
		return ErrBroken
	}
	return nil
}

// forgetCut takes the note of a Reset away that is so old that its generation
// will soon come again, and would then be taken for cut. The state is loaded after the
// note, so its generation is no earlier one.
func (b *Barrier) forgetCut() {
	cut := b.cut.Load()
	if cut != 0 && since(cut>>generationShift, b.load().generation()) > generationMask-cutMargin {
		b.cut.CompareAndSwap(cut, 0)
	}
}

// cutMargin is how many rounds before its generation comes again a cut is forgotten.
const cutMargin = 1 << 20

// since returns how many generations after g the later one is.
func since(g, later uint32) uint32 { return (later - g) & generationMask }

// act does step 306, for the last party of generation g.
func (b *Barrier) act(g uint32, action func() error) error {
	done := false
	defer func() {
		if !done {
			b.fail(g) // there was an error, a panic, or the end of the goroutine
		}
	}()
	check.Acquire(&b.state)
	if err := action(); err != nil {
		return err
	}
	check.Release(&b.state)
	for {
		w := b.load()
		if w.over(g) {
			return ErrBroken
		}
		probe.At(probe.Bar306)
		if done = b.change(w, w.next()); done {
			return nil
		}
	}
}

// fail is step 307. It reports whether it was this call that broke generation g.
func (b *Barrier) fail(g uint32) bool {
	for {
		w := b.load()
		if w.over(g) {
			return false
		}
		probe.At(probe.Bar307)
		if b.change(w, w.with(g, statusBroken)) {
			return true
		}
	}
}
