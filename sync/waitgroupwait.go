package sync

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// groupBudget is how long it pays to look at a group before sleeping.
var groupBudget spin.Budget

// Wait waits until nothing is counted any more, or was not for a moment. It panics
// with [ErrMemberDied] if a process died before it was done with what it had
// claimed; see [WaitGroup.WaitContext].
func (w *WaitGroup) Wait() {
	if err := w.WaitContext(context.Background()); err != nil {
		panic(err)
	}
}

// WaitContext is Wait unless ctx ends first. It returns
//
//   - nil: all is done;
//   - [ErrMemberDied]: nothing is left to wait for, but some of it was given back
//     for processes that died, now or at any time since the last Reset;
//   - the context's error, or one about the roster of processes: some may be left.
//
// With a context that has already ended it looks, without waiting.
func (w *WaitGroup) WaitContext(ctx context.Context) error {
	probe.At(probe.WaitGroup343)
	zero, first, _, err := w.look(ctx, nil)
	if err != nil {
		return err
	}
	if zero {
		return w.outcome()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	over := func() bool { return w.state.Load()/groupRound != first }
	if groupBudget.Until(over) {
		return w.outcome()
	}
	gate, err := enterRound(ctx, &w.seq, uint32(first))
	if err != nil {
		if over() {
			return w.outcome()
		}
		return err
	}
	defer gate.leave()

	s := await.New(ctx)
	defer s.Stop()
	for {
		probe.At(probe.WaitGroup343)
		if over() {
			return w.outcome()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		zero, _, dying, err := w.look(ctx, s)
		if err != nil {
			return err
		}
		if zero {
			return w.outcome()
		}
		if dying != 0 { // the round cannot be over before that one has stopped, or is done yet
			s.Forget()
			if err := w.settle(ctx, dying); err != nil {
				return err
			}
			continue
		}
		probe.At(probe.WaitGroup344)
		s.Sleep(longestSleep)
		probe.At(probe.WaitGroup345)
		s.PassOn()
	}
}

// look gives back what the dead had, and reports whether nothing is counted any
// more, the round, and who is dead but has not stopped. A sleeper is announced, and
// told what to watch.
func (w *WaitGroup) look(ctx context.Context, s *await.Sleeper) (zero bool, round uint64, dying roster.ID, err error) {
	if err := w.lock(ctx); err != nil {
		return false, 0, 0, err
	}
	defer w.unlock()
	if s != nil {
		seq := w.seq.Load() | groupW
		w.seq.Store(seq)
		s.Watch(&w.seq, seq)
	}
	dying = w.bury(s)
	return w.total() == 0, w.state.Load() / groupRound, dying, nil
}

// outcome is what a wait that has come to its end returns.
func (w *WaitGroup) outcome() error {
	state := w.state.Load()
	if check.Race {
		check.Acquire(&w.state)
	}
	if state&groupLost != 0 {
		return ErrMemberDied
	}
	return nil
}
