//go:build crash

package sync_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// doomed is an actor that can be armed: its next passage of the step ends or
// stops it.
var doomed = proctest.Register("doomed", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		if arm(order) {
			h.Say("ok")
			continue
		}
		if order == "give up" {
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				awaitSleeper(s.word(h.Args[0]))
				cancel()
			}()
			h.Say(describe(l.LockContext(ctx)))
			continue
		}
		h.Say(act(l, order))
	}
})

// A passage brings the victim to one step: what went before, the order in which
// it passes the step, and whether the one who locks next must be told of a death.
type passage struct {
	point  probe.Point
	before string // free, held by us, abandoned, dead owner, held by the victim
	waiter bool   // somebody else sleeps on the lock meanwhile
	order  string
	told   bool // after a kill
	holds  bool // what the victim holds while it is stopped
	only   string
}

var passages = []passage{
	{point: probe.Lock1, before: "free", order: "lock"},
	{point: probe.Lock2, before: "held by us", order: "lock"},
	{point: probe.Lock3, before: "abandoned", order: "lock or learn", told: true},
	{point: probe.Lock4, before: "dead owner", order: "lock or learn", told: true},
	{point: probe.Lock5, before: "dead owner", order: "lock or learn", told: true},
	{point: probe.Locked, before: "free", order: "lock", told: true, holds: true},
	{point: probe.Lock6, before: "held by us", order: "lock"},
	{point: probe.Lock7, before: "held by us", order: "lock"},
	{point: probe.Lock8, before: "held by us", order: "lock", waiter: true},
	{point: probe.Lock9, before: "held by the victim", order: "mark", told: true, holds: true},
	{point: probe.Lock10, before: "held by the victim", order: "unlock", told: true, holds: true},
	{point: probe.Lock11, before: "held by the victim", order: "unlock", waiter: true, told: true, holds: true},
	{point: probe.Lock12, before: "held by the victim", order: "unlock", waiter: true},
	{point: probe.Lock13, before: "held by us", order: "give up"},
	{point: probe.Enter14, before: "free", order: "lock", told: true, holds: true, only: "rmutex"},
	{point: probe.Leave15, before: "held by the victim", order: "unlock", told: true, holds: true, only: "rmutex"},
}

// Every step of the lock is in the table.
func TestPassagesAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range passages {
		points = append(points, p.point)
	}
	require.ElementsMatch(t, probe.Points(probe.Lock1, probe.Leave15), points)
}

// forPassages returns how many passages there were, of all locks.
func forPassages(t *testing.T, test func(t *testing.T, p passage, lock string)) (n int) {
	for _, p := range passages {
		for _, lock := range lockNames {
			if p.only == "" || p.only == lock {
				n++
				t.Run(strings.ReplaceAll(p.point.String(), " ", "")+"/"+lock, func(t *testing.T) {
					proctest.NoLeaks(t)
					test(t, p, lock)
				})
			}
		}
	}
	return n
}

// drive brings a new victim to the step, where sig hits it. It returns the
// other waiter, if there is one; the lock is not held by us any more.
func drive(t *testing.T, p passage, s *scene, file *os.File, lock string, sig syscall.Signal) (victim, waiter *proctest.Proc) {
	files := []*os.File{file}
	victim = doomed.Start(t, files, lock)
	l := s.lock(lock)
	switch p.before {
	case "held by us":
		l.Lock()
	case "abandoned", "dead owner":
		first := actor.Start(t, files, lock)
		do(t, first, "lock")
		first.Kill(t)
		if p.before == "abandoned" {
			require.ErrorIs(t, l.LockContext(t.Context()), psync.ErrOwnerDied)
			l.Unlock()
		}
	case "held by the victim":
		do(t, victim, "lock")
	}
	if p.waiter && p.before == "held by the victim" {
		waiter = actor.Start(t, files, lock)
		waiter.Tell(t, "lock or learn")
		awaitSleeper(s.word(lock))
	}
	do(t, victim, armFor(p.point, sig))
	victim.Tell(t, p.order)
	if p.before == "held by us" && p.point > probe.Lock7 && p.point != probe.Lock13 {
		awaitSleeper(s.word(lock))
		if p.waiter {
			waiter = actor.Start(t, files, lock)
			waiter.Tell(t, "lock or learn")
		}
		l.Unlock() // the victim wakes, at once or at its next look
	}
	return victim, waiter
}

// finish lets go of the lock if drive left it with us.
func finish(p passage, l psync.Locker) {
	if pid, held := l.Holder(); held && pid == os.Getpid() {
		l.Unlock()
	}
}

// A process is killed at each step in turn. Whoever was there and whoever comes
// new goes on, and is told of the death exactly if the victim held the lock.
func TestKillAtEachStep(t *testing.T) {
	n := forPassages(t, func(t *testing.T, p passage, lock string) {
		s, file := stage[scene](t)
		victim, waiter := drive(t, p, s, file, lock, syscall.SIGKILL)
		require.ErrorContains(t, victim.Wait(t), "killed")
		finish(p, s.lock(lock))
		survive(t, p, s, file, lock, waiter)
	})
	proctest.Verified(t, "crash", "Lock and Unlock, killed", "%d kills at %d steps", n, len(passages))
}

func survive(t *testing.T, p passage, s *scene, file *os.File, lock string, waiter *proctest.Proc) {
	want := "^ok$"
	if p.told {
		want = "^died"
	}
	if waiter != nil {
		require.Regexp(t, want, waiter.Line(t))
		if p.told {
			do(t, waiter, "mark")
		}
		do(t, waiter, "unlock")
	} else {
		err := s.lock(lock).LockContext(t.Context())
		require.Regexp(t, want, describe(err))
		if p.told {
			s.lock(lock).MarkConsistent()
		}
		s.lock(lock).Unlock()
	}
	workload(t, s, file, lock)
}

// workload is what must still be possible: exclusion among a newcomer and us.
func workload(t *testing.T, s *scene, file *os.File, lock string) {
	const adds = 500
	newcomer := adder.Start(t, []*os.File{file}, lock, strconv.Itoa(adds))
	proctest.Gate(t, newcomer)
	l := s.lock(lock)
	for range adds {
		l.Lock()
		s.N++
		l.Unlock()
	}
	require.NoError(t, newcomer.Wait(t))
	require.EqualValues(t, 2*adds, s.N)
}

// A process is stopped at each step in turn. Nobody steals from it: others wait
// exactly if it holds the lock. Continued, it finishes what it began.
func TestStopAtEachStep(t *testing.T) {
	n := forPassages(t, func(t *testing.T, p passage, lock string) {
		s, file := stage[scene](t)
		l := s.lock(lock)
		victim, waiter := drive(t, p, s, file, lock, syscall.SIGSTOP)
		victim.AwaitStop(t)
		finish(p, l)
		if waiter != nil && !p.holds {
			require.Equal(t, "ok", waiter.Line(t))
			do(t, waiter, "unlock")
		}
		if p.holds {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, l.LockContext(ctx), context.DeadlineExceeded)
		}
		victim.Cont(t)
		outcome := victim.Line(t)
		if p.order != "unlock" && p.order != "give up" {
			if strings.HasPrefix(outcome, "died") {
				do(t, victim, "mark")
			}
			do(t, victim, "unlock")
		}
		if outcome == "ok" && p.order == "give up" {
			do(t, victim, "unlock") // it got the lock before it looked at its context
		}
		if waiter != nil && p.holds {
			require.Equal(t, "ok", waiter.Line(t))
			do(t, waiter, "unlock")
		}
		if p.point == probe.Lock3 || p.point == probe.Lock4 {
			require.Regexp(t, "^died", outcome)
		}
		workload(t, s, file, lock)
	})
	proctest.Verified(t, "crash", "Lock and Unlock, stopped", "%d stops at %d steps", n, len(passages))
}

// The one who takes the lock from a dead owner is killed at each of its steps.
func TestKillRecovererAtEachStep(t *testing.T) {
	steps := []struct {
		point  probe.Point
		orders []string
	}{
		{probe.Lock4, []string{"lock or learn"}},
		{probe.Lock5, []string{"lock or learn"}},
		{probe.Locked, []string{"lock or learn"}},
		{probe.Lock9, []string{"lock or learn", "mark"}},
		{probe.Lock10, []string{"lock or learn", "unlock"}},
		{probe.Lock11, []string{"lock or learn", "unlock"}},
		{probe.Lock12, []string{"lock or learn", "unlock"}},
	}
	for _, lock := range lockNames {
		for _, step := range steps {
			t.Run(strings.ReplaceAll(step.point.String(), " ", "")+"/"+lock, func(t *testing.T) {
				proctest.NoLeaks(t)
				s, file := stage[scene](t)
				first := actor.Start(t, []*os.File{file}, lock)
				do(t, first, "lock")
				second := doomed.Start(t, []*os.File{file}, lock)
				do(t, second, armFor(step.point, syscall.SIGKILL))
				first.Kill(t)
				for i, order := range step.orders {
					second.Tell(t, order)
					if i < len(step.orders)-1 {
						require.Regexp(t, "^died", second.Line(t))
					}
				}
				require.ErrorContains(t, second.Wait(t), "killed")
				err := s.lock(lock).LockContext(t.Context())
				require.True(t, errors.Is(err, psync.ErrOwnerDied), "nobody has repaired yet")
				s.lock(lock).MarkConsistent()
				s.lock(lock).Unlock()
				workload(t, s, file, lock)
			})
		}
	}
	proctest.Verified(t, "crash", "who takes a dead owner's lock, killed", "%d kills at %d steps", len(lockNames)*len(steps), len(steps))
}
