//go:build crash

package sync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A groupPassage brings a victim to one step of a group that counts one, or two
// if the victim has claimed two.
type groupPassage struct {
	point  probe.Point
	before string // what the victim, or one that dies, has done
	order  string

	// If the victim dies there: how much is left that nobody has claimed, and
	// whether waiters are told of a death.
	left int
	lost bool
}

var groupPassages = []groupPassage{
	{point: probe.WaitGroup331, order: "done", left: 1},
	{point: probe.WaitGroup332, before: "died with a record", order: "look", lost: true},
	{point: probe.WaitGroup333, order: "done", left: 1},
	{point: probe.WaitGroup334, order: "done", left: 1},
	{point: probe.WaitGroup335, order: "done", left: 1},
	{point: probe.WaitGroup333, order: "claim 1", left: 1},
	{point: probe.WaitGroup334, order: "claim 1", left: 1},
	{point: probe.WaitGroup335, order: "claim 1", left: 1},
	{point: probe.WaitGroup336, order: "claim 1", left: 1},
	{point: probe.WaitGroup337, order: "claim 1", left: 1},
	{point: probe.WaitGroup338, order: "claim 1", lost: true},
	{point: probe.WaitGroup339, order: "claim 1", lost: true},
	{point: probe.WaitGroup340, order: "claim 1", lost: true},
	{point: probe.WaitGroup341, order: "claim 1", lost: true},
	{point: probe.WaitGroup338, before: "claim 2", order: "done", lost: true},
	{point: probe.WaitGroup336, before: "claim 1", order: "done", lost: true},
	{point: probe.WaitGroup337, before: "claim 1", order: "done", lost: true},
	{point: probe.WaitGroup338, before: "claim 1", order: "done"},
	{point: probe.WaitGroup339, before: "claim 1", order: "done"},
	{point: probe.WaitGroup340, before: "claim 1", order: "done"},
	{point: probe.WaitGroup339, order: "done", left: 1},
	{point: probe.WaitGroup341, order: "done"},
	{point: probe.WaitGroup342, before: "died with a claim", order: "look", lost: true},
	{point: probe.WaitGroup343, order: "wait", left: 1},
	{point: probe.WaitGroup344, order: "wait", left: 1},
	{point: probe.WaitGroup345, order: "wait", left: 1},
}

func TestGroupPassagesAreComplete(t *testing.T) {
	seen := map[probe.Point]bool{}
	for _, p := range groupPassages {
		seen[p.point] = true
	}
	for _, point := range probe.Points(probe.WaitGroup331, probe.WaitGroup345) {
		require.True(t, seen[point], "%v", point)
	}
}

func (p groupPassage) name() string {
	return strings.ReplaceAll(fmt.Sprintf("%v %s %s", p.point, p.before, p.order), " ", "-")
}

// drive brings a new victim to the step, where sig hits it. Somebody else sleeps
// on the group meanwhile, if one may: one who sleeps notices the death of an
// earlier process before the victim does. A stopped sleeper leaves the victim's
// death to others.
func (p groupPassage) drive(t *testing.T, s *groupScene, file *os.File, sig syscall.Signal, stopped bool) (victim, sleeper *proctest.Proc) {
	files := []*os.File{file}
	victim = groupPlayer.Start(t, files)
	s.Group.Add(1)
	switch p.before {
	case "claim 2":
		s.Group.Add(1)
		do(t, victim, p.before)
	case "claim 1":
		do(t, victim, p.before)
	case "died with a record":
		earlier := groupPlayer.Start(t, files)
		do(t, earlier, armFor(probe.WaitGroup339, syscall.SIGKILL))
		earlier.Tell(t, "claim 1")
		require.ErrorContains(t, earlier.Wait(t), "killed")
	case "died with a claim":
		earlier := groupPlayer.Start(t, files)
		do(t, earlier, "claim 1")
		earlier.Kill(t)
	}
	if !strings.HasPrefix(p.before, "died") {
		sleeper = groupPlayer.Start(t, files)
		sleeper.Tell(t, "wait")
		awaitTrueSleeper(t, sleeper.Pid())
		if stopped {
			sleeper.Stop(t)
		}
	}
	do(t, victim, armFor(p.point, sig))
	victim.Tell(t, p.order)
	if p.point == probe.WaitGroup345 {
		awaitTrueSleeper(t, victim.Pid())
		require.NoError(t, s.Group.Claim(1)) // wakes it
	}
	return victim, sleeper
}

// survives sees the sleeper and us come through, and newcomers go on.
func (p groupPassage) survives(t *testing.T, s *groupScene, file *os.File, sleeper *proctest.Proc) {
	p.ends(t, s, sleeper)
	newcomersGoOn(t, s, file)
}

// ends sees the sleeper and us come through.
func (p groupPassage) ends(t *testing.T, s *groupScene, sleeper *proctest.Proc) {
	want := error(nil)
	if p.lost {
		want = psync.ErrMemberDied
	}
	if p.left > 0 {
		require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
	}
	for range p.left {
		s.Group.Done()
	}
	if sleeper != nil {
		sleeper.Expect(t, describe(want))
	}
	require.Equal(t, want, s.Group.WaitContext(t.Context()))
	s.Group.Reset()
}

func newcomersGoOn(t *testing.T, s *groupScene, file *os.File) {
	s.Group.Add(2)
	newcomer, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	waiter.Tell(t, "wait")
	awaitTrueSleeper(t, waiter.Pid())
	do(t, newcomer, "claim 1", "done")
	s.Group.Done()
	waiter.Expect(t, "ok")
	require.NoError(t, s.Group.WaitContext(ended()))
}

func forGroupPassages(t *testing.T, test func(t *testing.T, p groupPassage)) {
	for _, p := range groupPassages {
		t.Run(p.name(), func(t *testing.T) {
			proctest.NoLeaks(t)
			test(t, p)
		})
	}
}

// A process is killed at each step.
func TestWaitGroupKillAtEachStep(t *testing.T) {
	forGroupPassages(t, func(t *testing.T, p groupPassage) {
		s, file := stage[groupScene](t)
		victim, sleeper := p.drive(t, s, file, syscall.SIGKILL, false)
		require.ErrorContains(t, victim.Wait(t), "killed")
		p.survives(t, s, file, sleeper)
	})
	proctest.Verified(t, "crash", "WaitGroup, killed", "%d kills at %d steps", len(groupPassages), len(probe.Points(probe.WaitGroup331, probe.WaitGroup345)))
}

// Then the one who looks next is killed at each step that it comes to. It claims
// nothing, so nothing else is so than after the first death.
func TestWaitGroupKillRecovererAtEachStep(t *testing.T) {
	kills := 0
	forGroupPassages(t, func(t *testing.T, p groupPassage) {
		for _, point := range probe.Points(probe.WaitGroup332, probe.WaitGroup342) {
			s, file := stage[groupScene](t)
			second := groupPlayer.Start(t, []*os.File{file})
			do(t, second, armFor(point, syscall.SIGKILL))
			victim, sleeper := p.drive(t, s, file, syscall.SIGKILL, true)
			require.ErrorContains(t, victim.Wait(t), "killed")
			second.Tell(t, "look and end")
			err := second.Wait(t)
			if sleeper != nil {
				sleeper.Cont(t)
			}
			p.ends(t, s, sleeper)
			if err != nil { // it came to that step; otherwise there was one death, as in TestWaitGroupKillAtEachStep
				require.ErrorContains(t, err, "killed")
				kills++
				newcomersGoOn(t, s, file)
			}
		}
	})
	require.Greater(t, kills, 3*len(groupPassages))
	proctest.Verified(t, "crash", "WaitGroup, killed twice", "%d second kills after %d first ones", kills, len(groupPassages))
}

// A process is stopped at each step. Nothing is taken from it, and continued it
// finishes what it began.
func TestWaitGroupStopAtEachStep(t *testing.T) {
	forGroupPassages(t, func(t *testing.T, p groupPassage) {
		s, file := stage[groupScene](t)
		victim, sleeper := p.drive(t, s, file, syscall.SIGSTOP, false)
		victim.AwaitStop(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.Group.WaitContext(ctx), context.DeadlineExceeded)
		victim.Cont(t)
		switch p.order {
		case "wait":
			s.Group.Done()
		case "claim 1":
			victim.Expect(t, "ok")
			do(t, victim, "done")
		case "look":
			require.NotEqual(t, "ok", victim.Line(t))
		default:
			victim.Expect(t, "ok")
			if p.before == "claim 2" {
				do(t, victim, "done")
			}
		}
		if p.order == "wait" {
			victim.Expect(t, "ok")
		}
		p.left, p.lost = 0, strings.HasPrefix(p.before, "died")
		p.survives(t, s, file, sleeper)
	})
	proctest.Verified(t, "crash", "WaitGroup, stopped", "%d stops at %d steps", len(groupPassages), len(probe.Points(probe.WaitGroup331, probe.WaitGroup345)))
}

// A record that was carried out is not carried out again after a later death.
func TestWaitGroupRecordGoes(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	first, second := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(1)
	do(t, first, armFor(probe.WaitGroup339, syscall.SIGKILL))
	first.Tell(t, "claim 1")
	require.ErrorContains(t, first.Wait(t), "killed")
	s.Group.Add(2) // carries it out
	do(t, second, armFor(probe.WaitGroup341, syscall.SIGKILL))
	second.Tell(t, "add 1")
	require.ErrorContains(t, second.Wait(t), "killed")
	s.Group.Add(-3)
	require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied)
}

// Members come and go as fast as they can, and one of them is killed at some
// moment. Whatever it had begun is given back, to the last one.
func TestWaitGroupKillAtRandom(t *testing.T) {
	proctest.NoLeaks(t)
	const kills = 40
	s, file := stage[groupScene](t)
	survivor := groupPlayer.Start(t, []*os.File{file})
	for range kills {
		victim := groupPlayer.Start(t, []*os.File{file})
		do(t, victim, "add 1", "claim 1", "done") // it runs
		victim.Tell(t, "churn")
		survivor.Tell(t, "churn")
		for range rand.IntN(5000) {
			runtime.Gosched()
		}
		victim.Kill(t)
		survivor.Tell(t, "cancel")
		survivor.Expect(t, "ok")
		_ = s.Group.WaitContext(t.Context()) // it may have been killed while it had nothing
		s.Group.Reset()                      // panics if anything is left
	}
	proctest.Verified(t, "crash", "WaitGroup, killed at random", "%d kills", kills)
}
