//go:build crash

package shm

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// doomedQueues are actors that can be armed: the next passage of the step ends
// or stops them.
var doomedQueues = map[string]*proctest.Program{
	"slots":   proctest.Register("doomed queue actor", queueActor[int64]("slots", armed)),
	"records": proctest.Register("doomed queue actor, records", queueActor[string]("records", armed)),
}

func armed(order string) bool {
	var point, sig int
	n, _ := fmt.Sscanf(order, "arm %d %d", &point, &sig)
	if n == 2 {
		probe.Arm(probe.Point(point), syscall.Signal(sig))
	}
	return n == 2
}

// Every step of the queue is in the tables.
func TestQueuePassagesAreComplete(t *testing.T) {
	passed := map[probe.Point]bool{}
	for _, p := range queuePassages {
		passed[p.point] = true
	}
	for _, point := range probe.Points(probe.Put30, probe.Member62) {
		require.True(t, passed[point], "%v", point)
	}
}

// A queueScene is the stage of one passage.
type queueScene struct {
	*numberQueue
	t                         *testing.T
	victim, waiting, survivor *proctest.Proc
	looks                     bool  // actors look now and then on their own account
	took                      []int // what we got on the way
}

// atQueuePassages runs a test at each passage, for both kinds of items. It
// returns how many there were.
func atQueuePassages(t *testing.T, passages []queuePassage, sig syscall.Signal, test func(*testing.T, *queueScene, queuePassage)) (n int) {
	for kind, make := range numberKinds {
		t.Run(kind, func(t *testing.T) {
			for _, p := range passages {
				if p.only != "" && p.only != kind {
					continue
				}
				n++
				t.Run(p.String(), func(t *testing.T) {
					proctest.NoLeaks(t)
					counted := p.setup == "got" || p.setup == "counted"
					s := &queueScene{t: t, numberQueue: make(t, 2, counted), looks: sig == syscall.SIGSTOP}
					s.drive(p, sig)
					test(t, s, p)
				})
			}
		})
	}
	return n
}

// drive brings a victim to the step, where sig hits it.
func (s *queueScene) drive(p queuePassage, sig syscall.Signal) {
	t := s.t
	s.victim, s.survivor = s.startActor(t, doomedQueues, s.looks), s.startActor(t, queueActors, s.looks)
	for _, n := range p.before {
		require.NoError(t, s.tryPut(n))
	}
	switch p.setup {
	case "closed":
		require.NoError(t, s.closeAll())
	case "orphaned":
		last := s.startActor(t, queueActors, s.looks)
		obey(t, last, "ok", "register")
		last.Kill(t)
	case "registered":
		obey(t, s.victim, "ok", "register")
	case "got":
		obey(t, s.victim, "got 1", "get")
	}
	if p.dead != 0 {
		first, o := s.startActor(t, doomedQueues, s.looks), "get"
		if p.dead <= probe.Put36 {
			o = "put 15"
		}
		obey(t, first, "ok", armOrder(p.dead, syscall.SIGKILL))
		first.Tell(t, o)
		require.ErrorContains(t, first.Wait(t), "killed")
	}
	wait := func() {
		if p.waiter != "" {
			s.waiting = s.startActor(t, queueActors, s.looks)
			s.waiting.Tell(t, p.waiter)
			awaitQueueSleeper(t, s.waiting.Pid())
		}
	}
	if p.then == "" {
		wait()
	}
	obey(t, s.victim, "ok", armOrder(p.point, sig))
	s.victim.Tell(t, p.order)
	switch words := strings.Fields(p.then + " ."); words[0] {
	case "put":
		awaitQueueSleeper(t, s.victim.Pid())
		wait()
		require.Equal(t, "ok", s.act(p.then))
	case "get":
		awaitQueueSleeper(t, s.victim.Pid())
		wait()
		s.took = append(s.took, gotten(t, s.act(p.then))...)
	}
}

func armOrder(point probe.Point, sig syscall.Signal) string {
	return fmt.Sprintf("arm %d %d", point, sig)
}

// A process is killed at each step in turn, and nobody looks on his own account.
// Who waited for what it did goes on by its death; whoever was there and whoever
// comes new can use the queue; what was committed is there once, and nothing
// else: what a consumer had got by its commit, and nothing more, is lost.
func TestQueueKilledAtEachStep(t *testing.T) {
	n := atQueuePassages(t, queuePassages, syscall.SIGKILL, survivePassage)
	proctest.Verified(t, "crash", "queue, killed", "%d kills at %d steps", n, probe.Member62-probe.Put30+1)
}

// The one who takes a lock of the dead is killed as well, at each of its steps.
func TestQueueRecovererKilledAtEachStep(t *testing.T) {
	n := atQueuePassages(t, recoveringPassages(), syscall.SIGKILL, survivePassage)
	proctest.Verified(t, "crash", "queue, who takes a dead process's lock, killed", "%d pairs of kills", n)
}

func survivePassage(t *testing.T, s *queueScene, p queuePassage) {
	require.ErrorContains(t, s.victim.Wait(t), "killed")
	if p.resolved != "" { // before anybody comes: that wakes all
		s.waiting.Expect(t, p.resolved)
	}
	newcomer := s.startActor(t, queueActors, s.looks)
	if p.setup == "closed" || p.setup == "orphaned" || p.setup == "registered" {
		for _, a := range []*proctest.Proc{s.survivor, newcomer} {
			obey(t, a, "closed", "get")
			obey(t, a, "closed", "put 5")
		}
		return
	}
	left := slices.Clone(p.left)
	if s.waiting != nil && p.resolved == "" {
		switch words := strings.Fields(p.waiter); words[0] {
		case "get":
			require.NoError(t, s.tryPut(8))
			s.waiting.Expect(t, "got 8")
		case "put":
			n, err := s.tryGet()
			require.NoError(t, err)
			require.Equal(t, left[0], n)
			left = append(left[1:], 20)
			s.waiting.Expect(t, "ok")
		case "join":
			require.Equal(t, left, s.drain(t))
			left = nil
			s.waiting.Expect(t, "ok")
		}
	}
	workers := []*proctest.Proc{s.survivor, newcomer}
	if s.waiting != nil {
		workers = append(workers, s.waiting)
	}
	s.workOn(t, left, workers)
}

// workOn is what must still be possible. The left are in the queue.
func (s *queueScene) workOn(t *testing.T, left []int, workers []*proctest.Proc) {
	const each = 20
	want := slices.Clone(left)
	for i, w := range workers {
		w.Tell(t, fmt.Sprintf("work %d %d", 100*(i+1), each))
		for n := range each {
			want = append(want, 100*(i+1)+n)
		}
	}
	var got []int
	for _, w := range workers {
		got = append(got, gotten(t, w.Line(t))...)
	}
	require.Equal(t, len(left), s.len())
	got = append(got, s.drain(t)...)
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}
