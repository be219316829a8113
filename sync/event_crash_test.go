//go:build crash

package sync_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An eventPassage brings a victim to one step of an event.
type eventPassage struct {
	point  probe.Point
	before string // what the event is: set, clear, or clear and somebody sleeps
	order  string
	set    bool // what it is if the victim dies there
}

var eventPassages = []eventPassage{
	{point: probe.Event291, before: "clear", order: "wait"},
	{point: probe.Event292, before: "clear", order: "wait"},
	{point: probe.Event293, before: "clear", order: "wait"},
	{point: probe.Event294, before: "clear", order: "wait"},
	{point: probe.Event295, before: "sleeper", order: "set"},
	{point: probe.Event296, before: "sleeper", order: "set", set: true},
	{point: probe.Event297, before: "sleeper", order: "set", set: true},
	{point: probe.Event298, before: "set", order: "clear", set: true},
}

func TestEventPassagesAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range eventPassages {
		points = append(points, p.point)
	}
	require.ElementsMatch(t, probe.Points(probe.Event291, probe.Event298), points)
}

// drive brings a new victim to the step, where sig hits it.
func (p eventPassage) drive(t *testing.T, s *eventScene, file *os.File, sig syscall.Signal) (victim, sleeper *proctest.Proc) {
	switch p.before {
	case "set":
		s.Event.Set()
	case "sleeper":
		s.Event.Clear()
		sleeper = eventPlayer.Start(t, []*os.File{file})
		sleeper.Tell(t, "wait")
		awaitTrueSleeper(t, sleeper.Pid())
	default:
		s.Event.Clear()
	}
	victim = eventPlayer.Start(t, []*os.File{file})
	do(t, victim, armFor(p.point, sig))
	victim.Tell(t, p.order)
	return victim, sleeper
}

func forEventPassages(t *testing.T, test func(t *testing.T, p eventPassage)) {
	for _, p := range eventPassages {
		t.Run(strings.ReplaceAll(p.point.String(), " ", ""), func(t *testing.T) {
			proctest.NoLeaks(t)
			test(t, p)
		})
	}
}

// survives sees a newcomer and us go on.
func (s *eventScene) survives(t *testing.T, file *os.File) {
	s.Event.Clear()
	newcomer := eventPlayer.Start(t, []*os.File{file})
	newcomer.Tell(t, "wait")
	awaitTrueSleeper(t, newcomer.Pid())
	s.Event.Set()
	newcomer.Expect(t, "true")
	do(t, newcomer, "clear")
	newcomer.Tell(t, "set")
	require.True(t, s.Event.Wait(t.Context()))
	newcomer.Expect(t, "ok")
}

// A process is killed at each step; then another, at each step.
func TestEventKillAtEachStep(t *testing.T) {
	kills := 0
	forEventPassages(t, func(t *testing.T, first eventPassage) {
		for _, second := range eventPassages {
			s, file := stage[eventScene](t)
			for _, p := range []eventPassage{first, second} {
				victim, sleeper := p.drive(t, s, file, syscall.SIGKILL)
				require.ErrorContains(t, victim.Wait(t), "killed")
				kills++
				require.Equal(t, p.set, s.Event.IsSet())
				if sleeper != nil {
					if !p.set {
						s.Event.Set()
					}
					sleeper.Expect(t, "true")
				}
			}
			s.survives(t, file)
		}
	})
	proctest.Verified(t, "crash", "Event, killed twice", "%d kills at %d steps", kills, len(eventPassages))
}

// Who sets is killed before it wakes the sleepers: who sets or clears next wakes them.
func TestEventSetterKilledBeforeWake(t *testing.T) {
	for name, next := range map[string]func(*psync.Event){"set": (*psync.Event).Set, "clear": (*psync.Event).Clear} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[eventScene](t)
			p := eventPassage{point: probe.Event296, before: "sleeper", order: "set"}
			victim, sleeper := p.drive(t, s, file, syscall.SIGKILL)
			require.ErrorContains(t, victim.Wait(t), "killed")
			next(&s.Event)
			sleeper.Expect(t, "true")
		})
	}
}

// A process is stopped at each step. Nobody waits for it, and continued it
// finishes what it began.
func TestEventStopAtEachStep(t *testing.T) {
	forEventPassages(t, func(t *testing.T, p eventPassage) {
		s, file := stage[eventScene](t)
		victim, sleeper := p.drive(t, s, file, syscall.SIGSTOP)
		victim.AwaitStop(t)
		s.Event.Set()
		if sleeper != nil {
			sleeper.Expect(t, "true")
		}
		if p.order == "wait" && p.point != probe.Event291 {
			s.Event.Clear()
		}
		victim.Cont(t)
		if p.order == "wait" {
			victim.Expect(t, "true")
		} else {
			victim.Expect(t, "ok")
		}
		s.survives(t, file)
	})
	proctest.Verified(t, "crash", "Event, stopped", "%d stops at %d steps", len(eventPassages), len(eventPassages))
}
