//go:build crash

package shm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// holds returns the lock that a process holds at a step, if any.
func (s *queueScene) holds(p queuePassage) *psync.Mutex {
	switch {
	case p.point >= probe.Put31 && p.point <= probe.Put36 || p.point == probe.Last59,
		p.point == probe.Close56 && p.setup == "orphaned":
		return &s.words.put
	case p.point >= probe.Get41 && p.point <= probe.Get46:
		return &s.words.get
	}
	return nil
}

// A process is stopped at each step in turn. Others wait exactly for the side
// whose lock it holds, with their contexts, and who only tries does not wait.
// It goes on where it was, and nothing is lost or comes twice.
func TestQueueStoppedAtEachStep(t *testing.T) {
	n := atQueuePassages(t, queuePassages, syscall.SIGSTOP, func(t *testing.T, s *queueScene, p queuePassage) {
		s.victim.AwaitStop(t)
		a := newLedger(s, p)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for _, lock := range []*psync.Mutex{&s.words.put, &s.words.get} {
			pid, held := lock.Holder()
			require.Equal(t, lock == s.holds(p), held && pid == s.victim.Pid())
		}
		switch s.holds(p) {
		case &s.words.put:
			require.ErrorIs(t, s.tryPut(5), ErrFull)
			require.ErrorIs(t, s.put(ctx, 5), context.DeadlineExceeded)
		case &s.words.get:
			_, err := s.tryGet()
			require.ErrorIs(t, err, ErrEmpty)
			_, err = s.get(ctx, 1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		default:
			if !a.ended() {
				a.settle()
				a.work(s.survivor, s.startActor(t, queueActors, s.looks))
			}
		}
		before := s.len()
		s.victim.Cont(t)
		a.finish(before)
	})
	proctest.Verified(t, "crash", "queue, stopped", "%d stops at %d steps", n, probe.Member62-probe.Put30+1)
}

// A ledger says what must have been got at the end: what was put.
type ledger struct {
	*queueScene
	queuePassage
	in, out []int
	settled bool // the waiter has got what it waited for
}

func newLedger(s *queueScene, p queuePassage) *ledger {
	a := &ledger{queueScene: s, queuePassage: p, in: slices.Clone(p.before), out: s.took, settled: p.waiter == ""}
	if p.setup == "got" {
		a.out = append(a.out, 1)
	}
	if words := strings.Fields(p.then + " ."); words[0] == "put" {
		a.in = append(a.in, numbersOf(p.then)...)
	}
	return a
}

func numbersOf(order string) (numbers []int) {
	for _, w := range strings.Fields(order)[1:] {
		var n int
		if _, err := fmt.Sscan(w, &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func (a *ledger) ended() bool { return a.setup == "closed" || a.setup == "orphaned" }

// book takes down the outcome of an order.
func (a *ledger) book(order, line string) {
	switch strings.Fields(order)[0] {
	case "put", "tryput":
		require.Equal(a.t, "ok", line)
		a.in = append(a.in, numbersOf(order)...)
	case "get", "tryget":
		a.out = append(a.out, gotten(a.t, line)...)
	case "cancel":
		require.Equal(a.t, context.Canceled.Error(), line)
	default:
		require.Equal(a.t, "ok", line)
	}
}

// settle gives the waiter what it waits for. If somebody has been woken for it
// and stands, it finds it at its next look.
func (a *ledger) settle() {
	if a.settled || a.setup == "got" {
		return
	}
	a.settled = true
	switch verb := strings.Fields(a.waiter)[0]; {
	case a.then != "":
	case verb == "get":
		require.NoError(a.t, a.put(a.t.Context(), 8))
		a.in = append(a.in, 8)
	case verb == "put":
		got, err := a.get(a.t.Context(), 1)
		require.NoError(a.t, err)
		a.out = append(a.out, got...)
	case verb == "join":
		a.out = append(a.out, a.drain(a.t)...)
	}
	a.book(a.waiter, a.waiting.Line(a.t))
}

func (a *ledger) work(workers ...*proctest.Proc) {
	const each = 20
	for _, w := range workers {
		first := 1000 + len(a.in)
		w.Tell(a.t, fmt.Sprintf("work %d %d", first, each))
		for n := range each {
			a.in = append(a.in, first+n)
		}
	}
	for _, w := range workers {
		a.out = append(a.out, gotten(a.t, w.Line(a.t))...)
	}
}

// finish is for when the victim goes on. There were so many items before.
func (a *ledger) finish(items int) {
	t := a.t
	if a.ended() {
		a.victim.Expect(t, "closed")
		obey(t, a.survivor, "closed", "get")
		obey(t, a.survivor, "closed", "put 5")
		return
	}
	// What the victim and the waiter are still to put and get.
	pending := []string{}
	if a.point != probe.Put35 && a.point != probe.Put36 && a.point != probe.Get45 && a.point != probe.Get46 {
		pending = append(pending, a.order)
	}
	if !a.settled {
		pending = append(pending, a.waiter)
	}
	for _, o := range pending {
		switch verb := strings.Fields(o)[0]; verb {
		case "put", "tryput":
			items += len(numbersOf(o))
		case "get", "tryget":
			items -= max(1, append(numbersOf(o), 1)[0])
		}
	}
	for ; items < 0; items++ {
		require.NoError(t, a.put(t.Context(), 50+items))
		a.in = append(a.in, 50+items)
	}
	for ; items > 2; items-- {
		got, err := a.get(t.Context(), 1)
		require.NoError(t, err)
		a.out = append(a.out, got...)
	}
	for a.order == "join" && items > 0 { // not by tries: the victim may have the lock still
		got, err := a.get(t.Context(), 1)
		require.NoError(t, err)
		a.done(1)
		a.out = append(a.out, got...)
		items--
	}
	a.book(a.order, a.victim.Line(t))
	if a.setup == "counted" && a.order == "get" {
		obey(t, a.victim, "ok", "done 1")
	}
	if !a.settled {
		a.book(a.waiter, a.waiting.Line(t))
	}
	switch {
	case a.order == "close", a.order == "deregister", a.order == "detach" && a.setup == "registered":
		a.out = append(a.out, a.drainClosed()...)
	case a.order == "detach":
		a.work(a.survivor, a.waiting)
		a.out = append(a.out, a.drain(t)...)
	default:
		a.work(a.survivor, a.victim)
		a.out = append(a.out, a.drain(t)...)
	}
	slices.Sort(a.in)
	slices.Sort(a.out)
	require.Equal(t, a.in, a.out)
}

// drainClosed gets all that is left of a queue that has ended.
func (a *ledger) drainClosed() (numbers []int) {
	for {
		got, err := a.get(a.t.Context(), 1)
		if err != nil {
			require.ErrorIs(a.t, err, ErrClosed)
			return numbers
		}
		numbers = append(numbers, got...)
	}
}
