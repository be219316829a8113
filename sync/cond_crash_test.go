//go:build crash

package sync_test

import (
	"context"
	"fmt"
	"os"
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

// A condPassage brings the victim to one step of a Cond. A bystander waits before
// it, and sleeps.
type condPassage struct {
	point    probe.Point
	order    string
	left     bool // a process that had been signalled was killed before
	orphaned bool // the victim sleeps, and the holder of the lock is killed
	signal   bool // the victim is signalled, to get to its step

	holds  bool // at the step the victim holds the lock
	passed bool // if it is killed there, the bystander must get a signal by that
}

var condPassages = []condPassage{
	{point: probe.Cond271, order: "turn", holds: true},
	{point: probe.Cond272, order: "turn", holds: true},
	{point: probe.Cond273, order: "turn"},
	{point: probe.Cond274, order: "turn"},
	{point: probe.Cond275, order: "turn"},
	{point: probe.Cond276, order: "turn", signal: true, passed: true},
	{point: probe.Cond277, order: "turn", signal: true, holds: true},
	{point: probe.Cond278, order: "turn", signal: true, holds: true},
	{point: probe.Cond279, order: "turn", orphaned: true, holds: true},
	{point: probe.Cond280, order: "signal"},
	{point: probe.Cond281, order: "signal", passed: true},
	{point: probe.Cond282, order: "turn", left: true, holds: true},
	{point: probe.Cond283, order: "turn", left: true, holds: true},
	{point: probe.Cond284, order: "turn", holds: true},
	{point: probe.Cond284, order: "signal"},
}

// Every step of a Cond is in the table.
func TestCondPassagesAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range condPassages {
		points = append(points, p.point)
	}
	require.Equal(t, probe.Points(probe.Cond271, probe.Cond284), slices.Compact(points))
}

// A condStage is what there is when the victim comes to its step.
type condStage struct {
	*hall
	l                 psync.CondLocker
	lock              string
	file              *os.File
	victim, bystander *proctest.Proc
}

func newCondStage(t *testing.T, lock string) *condStage {
	h, file := stage[hall](t)
	s := &condStage{hall: h, l: h.lock(lock), lock: lock, file: file}
	turn(s.l) // joins the roster
	return s
}

func (s *condStage) start(t *testing.T) *proctest.Proc { return condGuest.Start(t, []*os.File{s.file}) }

// seat has a new process wait as the nth.
func (s *condStage) seat(t *testing.T, n int) *proctest.Proc {
	p := s.start(t)
	s.tell(t, p, n)
	return p
}

func (s *condStage) tell(t *testing.T, p *proctest.Proc, n int) {
	p.Tell(t, "turn "+s.lock)
	s.awaitWaiting(t, n, s.l)
	awaitTrueSleeper(t, p.Pid())
}

// signalFrom signals, from a cell on. They were claimed in the order of the seats.
func (s *condStage) signalFrom(cell uint32) {
	memoryOf(&s.Cond).start.Store(cell)
	s.Cond.Signal()
}

// drive has sig hit the victim at its step.
func (s *condStage) drive(t *testing.T, p condPassage, sig syscall.Signal) {
	s.bystander, s.victim = s.seat(t, 1), s.start(t)
	if p.left {
		first := s.seat(t, 2)
		s.bystander.Stop(t) // or it would pass on what the first one left
		s.l.Lock()
		s.signalFrom(1)
		first.Kill(t)
		s.l.Unlock()
	}
	do(t, s.victim, armFor(p.point, sig))
	switch {
	case p.signal:
		s.tell(t, s.victim, 2)
		s.signalFrom(1)
	case p.orphaned:
		s.tell(t, s.victim, 2)
		s.bystander.Stop(t)
		holder := s.start(t)
		do(t, holder, "lock "+s.lock)
		holder.Kill(t)
	default:
		s.victim.Tell(t, p.order+" "+s.lock)
	}
}

func forCondPassages(t *testing.T, test func(t *testing.T, p condPassage, s *condStage)) (n int) {
	for _, p := range condPassages {
		for _, lock := range lockNames {
			n++
			t.Run(strings.ReplaceAll(p.point.String(), " ", "")+"/"+p.order+"/"+lock, func(t *testing.T) {
				proctest.NoLeaks(t)
				test(t, p, newCondStage(t, lock))
			})
		}
	}
	return n
}

// workload is what must still be possible: a newcomer and an old one get what we
// put.
func (s *condStage) workload(t *testing.T, old *proctest.Proc) {
	const items = 20
	takers := []*proctest.Proc{old, s.start(t)}
	for range items {
		for _, p := range takers {
			p.Tell(t, "take "+s.lock)
		}
	}
	for range len(takers) * items {
		s.l.Lock()
		s.N++
		s.l.Unlock()
		s.Cond.Signal()
	}
	for range items {
		for _, p := range takers {
			p.Expect(t, "ok")
		}
	}
	require.Zero(t, s.N)
	require.Zero(t, s.waiting())
}

// A process is killed at each step in turn. The bystander is told of the death if
// the victim held the lock; otherwise it gets the signal that the victim had, or
// one that is given now. A newcomer goes on with it.
func TestCondKillAtEachStep(t *testing.T) {
	n := forCondPassages(t, func(t *testing.T, p condPassage, s *condStage) {
		s.drive(t, p, syscall.SIGKILL)
		require.ErrorContains(t, s.victim.Wait(t), "killed")
		s.bystander.Cont(t)
		switch {
		case p.holds:
			require.Regexp(t, "^died", s.bystander.Line(t))
		case p.passed:
			s.bystander.Expect(t, "ok")
		default:
			require.Equal(t, 1, s.waiting())
			s.Cond.Signal()
			s.bystander.Expect(t, "ok")
		}
		s.workload(t, s.bystander)
	})
	proctest.Verified(t, "crash", "Wait and Signal of a Cond, killed", "%d kills at %d steps", n, len(condPassages))
}

// A process is stopped at each step in turn. It is alive: others wait for it if it
// holds the lock, and otherwise go on without it.
func TestCondStopAtEachStep(t *testing.T) {
	n := forCondPassages(t, func(t *testing.T, p condPassage, s *condStage) {
		s.drive(t, p, syscall.SIGSTOP)
		s.victim.AwaitStop(t)
		s.bystander.Cont(t)
		if p.holds {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, s.l.LockContext(ctx), context.DeadlineExceeded)
			s.victim.Cont(t)
		} else {
			s.signalFrom(0)
			s.bystander.Expect(t, "ok")
			s.victim.Cont(t)
		}
		outcomes := make(chan string, 2)
		go func() { outcomes <- s.victim.Line(t) }()
		if p.holds {
			go func() { outcomes <- s.bystander.Line(t) }()
		} else {
			outcomes <- "ok"
		}
		until(t, "those who wait", func() bool {
			s.Cond.Broadcast()
			return len(outcomes) == 2
		})
		for range 2 {
			if outcome := <-outcomes; !p.orphaned {
				require.Equal(t, "ok", outcome)
			}
		}
		s.workload(t, s.victim)
	})
	proctest.Verified(t, "crash", "Wait and Signal of a Cond, stopped", "%d stops at %d steps", n, len(condPassages))
}

// The one who passes on what a dead waiter was given is killed at each of its
// steps, whether it gives that to itself or to another. The last one gets it.
func TestCondKillRecovererAtEachStep(t *testing.T) {
	steps := []struct {
		point probe.Point
		holds bool
		own   bool // it gives the signal to itself
	}{
		{point: probe.Cond282},
		{point: probe.Cond280}, {point: probe.Cond280, own: true},
		{point: probe.Cond281}, {point: probe.Cond281, own: true},
		{point: probe.Cond283}, {point: probe.Cond283, own: true},
		{point: probe.Cond276, own: true},
		{point: probe.Cond277, own: true, holds: true},
		{point: probe.Cond278, own: true, holds: true},
	}
	for _, lock := range lockNames {
		for _, step := range steps {
			t.Run(fmt.Sprintf("%s/%v/%s", strings.ReplaceAll(step.point.String(), " ", ""), step.own, lock), func(t *testing.T) {
				proctest.NoLeaks(t)
				s := newCondStage(t, lock)
				last, first, second := s.seat(t, 1), s.seat(t, 2), s.start(t)
				do(t, second, armFor(step.point, syscall.SIGKILL))
				s.tell(t, second, 3)
				last.Stop(t)
				s.l.Lock()
				s.signalFrom(1)
				memoryOf(&s.Cond).start.Store(0)
				if step.own {
					memoryOf(&s.Cond).start.Store(2)
				}
				first.Kill(t)
				s.l.Unlock()
				require.ErrorContains(t, second.Wait(t), "killed")
				last.Cont(t)
				if step.holds {
					require.Regexp(t, "^died", last.Line(t))
				} else {
					last.Expect(t, "ok")
				}
				s.workload(t, last)
			})
		}
	}
	proctest.Verified(t, "crash", "who passes on a dead waiter's signal, killed", "%d kills at %d steps", len(lockNames)*len(steps), 7)
}
