//go:build crash

package sync_test

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A oncePassage is what is so if a process dies at one step.
type oncePassage struct {
	point probe.Point
	told  bool // the next one is told
	done  bool // there is nothing left to do
}

var oncePassages = []oncePassage{
	{point: probe.Once321},
	{point: probe.Once322},
	{point: probe.Once323, told: true},
	{point: probe.Once324, told: true},
	{point: probe.Once325, told: true},
	{point: probe.Once326, done: true},
}

func TestOncePassagesAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range oncePassages {
		points = append(points, p.point)
	}
	require.ElementsMatch(t, probe.Points(probe.Once321, probe.Once326), points)
}

// fall has a new victim be hit at a step.
func (s *onceScene) fall(t *testing.T, file *os.File, p probe.Point, sig syscall.Signal) *proctest.Proc {
	victim := oncePlayer.Start(t, []*os.File{file})
	do(t, victim, armFor(p, sig))
	victim.Tell(t, "do")
	if sig == syscall.SIGKILL {
		require.ErrorContains(t, victim.Wait(t), "killed")
	} else {
		victim.AwaitStop(t)
	}
	return victim
}

// A process is killed at each step; and then the next one, at each step.
func TestOnceKillAtEachStep(t *testing.T) {
	kills := 0
	for _, first := range oncePassages {
		t.Run(strings.ReplaceAll(first.point.String(), " ", ""), func(t *testing.T) {
			proctest.NoLeaks(t)
			for _, second := range oncePassages {
				s, file := stage[onceScene](t)
				s.Leave.Store(true)
				s.fall(t, file, first.point, syscall.SIGKILL)
				kills++
				told, done := first.told, first.done
				if !done || second.point == probe.Once321 { // else the second one does not come there
					s.fall(t, file, second.point, syscall.SIGKILL)
					kills++
					told, done = told || second.told, done || second.done
				}
				want := "first"
				switch {
				case done:
					want = "done"
				case told:
					want = "^died"
				}
				newcomer := oncePlayer.Start(t, []*os.File{file})
				require.Regexp(t, want, s.learn(t))
				do(t, newcomer, "do", "do and learn")
				require.EqualValues(t, 1, s.Ran.Load()-s.ranInVain(first, second), "%v, %v", first.point, second.point)
			}
		})
	}
	proctest.Verified(t, "crash", "Once, killed twice", "%d kills at %d steps", kills, len(oncePassages))
}

// ranInVain returns how many functions have returned, of processes that died
// before they could say so.
func (s *onceScene) ranInVain(first, second oncePassage) (n int64) {
	for _, p := range []oncePassage{first, second} {
		if p.point == probe.Once325 && !first.done {
			n++
		}
	}
	return n
}

// A process is stopped at each step. Others wait exactly if it holds the lock, and
// continued it finishes what it began.
func TestOnceStopAtEachStep(t *testing.T) {
	for _, p := range oncePassages {
		t.Run(strings.ReplaceAll(p.point.String(), " ", ""), func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[onceScene](t)
			s.Leave.Store(true)
			victim := s.fall(t, file, p.point, syscall.SIGSTOP)
			if p.told {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				err := s.Once.DoContext(ctx, func(*psync.OwnerDiedError) error { return errRun })
				require.ErrorIs(t, err, context.DeadlineExceeded)
			} else {
				s.Once.Do(s.run)
			}
			victim.Cont(t)
			victim.Expect(t, "ok")
			require.Equal(t, "done", s.learn(t))
			require.EqualValues(t, 1, s.Ran.Load())
		})
	}
	proctest.Verified(t, "crash", "Once, stopped", "%d stops at %d steps", len(oncePassages), len(oncePassages))
}
