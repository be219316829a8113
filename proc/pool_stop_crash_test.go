//go:build crash

package proc_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A standstill is items that are performed while a worker stands.
type standstill struct {
	*troupe
	p        probe.Point
	pid      int
	outcomes chan error
	missing  int // outcomes
}

// stand brings a worker to a step, where it stops, with more to do for the other
// one.
func (r *troupe) stand(p probe.Point, o *proc.MapOptions) *standstill {
	t := r.t
	s := &standstill{troupe: r, p: p, outcomes: make(chan error, 1000)}
	s.perform(12, map[int]act{4: doomed(0, p, unix.SIGSTOP)}, o)
	awaitThat(t, func() bool { s.pid = int(r.Armed.View()[0].Load()); return s.pid != 0 })
	for i := 0; !stopped(s.pid); i++ { // the other one may have taken all
		require.Less(t, i, 1000, "the worker does not come to %v", p)
		if s.missing < 100 {
			s.perform(4, nil, o)
		}
		<-time.After(5 * time.Millisecond)
	}
	return s
}

// perform has items performed in the background.
func (s *standstill) perform(items int, dooms map[int]act, o *proc.MapOptions) {
	acts := s.acts(items, dooms)
	s.missing += items
	go func() {
		for r := range perform.MapUnordered(s.t.Context(), s.pool, slices.Values(acts), o) {
			if r.Err == nil && (r.Index < 0 || r.Value != acts[r.Index].N*acts[r.Index].N) {
				r.Err = fmt.Errorf("item %d: %d", r.Index, r.Value)
			}
			s.outcomes <- r.Err
		}
	}()
}

// take takes so many outcomes, and returns those that are errors.
func (s *standstill) take(n int) (failed []error) {
	s.t.Helper()
	for ; n > 0; n-- {
		select {
		case err := <-s.outcomes:
			s.missing--
			if err != nil {
				failed = append(failed, err)
			}
		case <-time.After(20 * time.Second):
			s.t.Fatalf("%d outcomes are missing, of a worker that stands at %v", s.missing, s.p)
		}
	}
	return failed
}

func stopped(pid int) bool {
	state, err := processState(pid)
	return err == nil && state == "T"
}

func awaitThat(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 20*time.Second, time.Millisecond)
}

// A worker is stopped at each of its steps. Others go on: but for the item that it
// has in hand, if it has one, all have their outcomes, those behind it in its chunk
// and those that it was woken for included. It goes on where it was.
func TestPoolWorkerStoppedAtEachStep(t *testing.T) {
	n := 0
	for _, size := range []int{1, 4} {
		for _, p := range workerPoints {
			n++
			t.Run(fmt.Sprintf("%d/%v", size, p), func(t *testing.T) {
				r := newTroupe(t, proc.PoolOptions{Workers: 2})
				o := &proc.MapOptions{Chunk: size}
				s := r.stand(p, o)
				held := 0
				if inHand(p) {
					held = 1
				}
				require.Empty(t, s.take(s.missing-held))
				s.perform(8, nil, o) // whoever stands may have been woken for it
				require.Empty(t, s.take(s.missing-held))
				require.NoError(t, unix.Kill(s.pid, unix.SIGCONT))
				require.Empty(t, s.take(s.missing))
				s.perform(8, nil, o)
				require.Empty(t, s.take(s.missing))
				require.Zero(t, r.deaths())
				r.begunOnce(0)
			})
		}
	}
	proctest.Verified(t, "crash", "pool, worker stopped", "%d stops at %d steps", n, len(workerPoints))
}

// Under a time limit the item in its hand, and no other, ends by that, and another
// process takes the place of the one that stands.
func TestPoolWorkerStoppedAtEachStepWithTimeLimit(t *testing.T) {
	n := 0
	for _, p := range workerPoints {
		n++
		t.Run(p.String(), func(t *testing.T) {
			r := newTroupe(t, proc.PoolOptions{Workers: 2, TaskTimeout: 500 * time.Millisecond, Grace: 50 * time.Millisecond})
			o := &proc.MapOptions{Chunk: 4}
			s := r.stand(p, o)
			s.perform(8, nil, o)
			failed := s.take(s.missing)
			if inHand(p) {
				require.Len(t, failed, 1)
				require.ErrorIs(t, failed[0], proc.ErrTaskTimeout)
				awaitThat(t, func() bool { return errors.Is(unix.Kill(s.pid, 0), unix.ESRCH) })
			} else {
				require.Empty(t, failed)
			}
			s.perform(8, nil, o)
			require.Empty(t, s.take(s.missing))
			r.begunOnce(0)
		})
	}
	proctest.Verified(t, "crash", "pool, worker stopped under a time limit", "%d stops at %d steps", n, len(workerPoints))
}

// processState returns the letter that /proc/PID/stat has.
func processState(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1], nil
}
