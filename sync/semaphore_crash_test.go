//go:build crash

package sync_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A stand brings the victim to one step of a semaphore with one permit: what went
// before, what it is told to do, and what that means for others.
type stand struct {
	kind   string
	point  probe.Point
	before string // see drive
	order  string
	waiter bool // somebody else sleeps meanwhile
	lost   bool // killed here, it takes the permit of a plain semaphore with it
	blocks bool // stopped here, it holds up others
}

var stands = []stand{
	{kind: "semaphore", point: probe.Sem231, before: "free", order: "acquire"},
	{kind: "semaphore", point: probe.Sem232, before: "taken", order: "acquire"},
	{kind: "semaphore", point: probe.Sem233, before: "taken", order: "acquire"},
	{kind: "semaphore", point: probe.Sem234, before: "taken", order: "acquire"},
	{kind: "semaphore", point: probe.Sem235, before: "taken", order: "acquire", blocks: true},
	{kind: "semaphore", point: probe.Sem236, before: "released", order: "acquire", lost: true, blocks: true},
	{kind: "semaphore", point: probe.Sem237, before: "held", order: "release", lost: true, blocks: true},
	{kind: "semaphore", point: probe.Sem238, before: "held", order: "release", waiter: true, lost: true, blocks: true},
	{kind: "semaphore", point: probe.Sem239, before: "held", order: "release", waiter: true},
	{kind: "semaphore", point: probe.Sem239, before: "held by the last giver", order: "release", waiter: true},

	{kind: "bounded", point: probe.Bound241, before: "free", order: "acquire"},
	{kind: "bounded", point: probe.Bound242, before: "free", order: "acquire"},
	{kind: "bounded", point: probe.Bound243, before: "free", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound244, before: "free", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound245, before: "taken", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound246, before: "taken", order: "acquire"},
	{kind: "bounded", point: probe.Bound247, before: "taken", order: "acquire"},
	{kind: "bounded", point: probe.Bound248, before: "dead holder", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound249, before: "taken", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound250, before: "released", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound251, before: "released", order: "acquire", blocks: true},
	{kind: "bounded", point: probe.Bound252, before: "held", order: "release", blocks: true},
	{kind: "bounded", point: probe.Bound253, before: "held", order: "release", waiter: true},
}

// After a death there is one more process to be killed: the one that takes the
// dead one's place in line, or its permits.
var recoveries = []stand{
	{kind: "semaphore", point: probe.Sem232, before: "dead first", order: "acquire"},
	{kind: "semaphore", point: probe.Sem233, before: "dead first", order: "acquire"},
	{kind: "semaphore", point: probe.Sem234, before: "dead first", order: "acquire"},
	{kind: "semaphore", point: probe.Sem235, before: "dead first", order: "acquire"},
	{kind: "semaphore", point: probe.Sem236, before: "dead first, released", order: "acquire", lost: true},

	{kind: "bounded", point: probe.Bound242, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound243, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound245, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound246, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound247, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound248, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound244, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound250, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound251, before: "dead holder", order: "acquire"},
	{kind: "bounded", point: probe.Bound252, before: "dead holder", order: "acquire and release"},
	{kind: "bounded", point: probe.Bound242, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound243, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound245, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound246, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound247, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound249, before: "dead first", order: "acquire"},
	{kind: "bounded", point: probe.Bound250, before: "dead first, released", order: "acquire"},
	{kind: "bounded", point: probe.Bound251, before: "dead first, released", order: "acquire"},
}

// Every step of both semaphores is in the table.
func TestStandsAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range stands {
		points = append(points, p.point)
	}
	require.Equal(t, probe.Points(probe.Sem231, probe.Bound253), slices.Compact(points))
}

func forStands(t *testing.T, table []stand, test func(t *testing.T, p stand, c *counter, file *os.File)) {
	for _, p := range table {
		t.Run(strings.ReplaceAll(p.point.String()+"/"+p.before, " ", ""), func(t *testing.T) {
			proctest.NoLeaks(t)
			c, file := stage[counter](t)
			c.init(t, 1)
			test(t, p, c, file)
		})
	}
}

// drive brings a new victim to the step, where sig hits it. It returns the waiter,
// if there is one, and whether we hold the permit.
func (p stand) drive(t *testing.T, c *counter, file *os.File, sig syscall.Signal) (victim, waiter *proctest.Proc, ours bool) {
	s, files := c.semaphore(p.kind), []*os.File{file}
	victim = guest.Start(t, files)
	switch p.before {
	case "free":
	case "held":
		see(t, victim, "acquire", p.kind, 1, "ok")
	case "held by the last giver":
		see(t, victim, "acquire", "bounded", 1, "ok")
		*giverOf(&c.Sem) = uint32(boundedWordsOf(&c.Bound).cells[0])
		see(t, victim, "release", "bounded", 1, "ok")
		see(t, victim, "acquire", p.kind, 1, "ok")
	case "dead holder":
		first := guest.Start(t, files)
		see(t, first, "acquire", p.kind, 1, "ok")
		first.Kill(t)
	default:
		ours = true
		require.True(t, s.TryAcquire(1))
	}
	if strings.HasPrefix(p.before, "dead first") {
		first := guest.Start(t, files)
		tell(t, first, "acquire", p.kind, 1)
		awaitTrueSleeper(t, first.Pid())
		first.Kill(t)
	}
	if p.waiter {
		waiter = guest.Start(t, files)
		tell(t, waiter, "acquire", p.kind, 1)
		awaitTrueSleeper(t, waiter.Pid())
	}
	if p.order == "acquire and release" {
		see(t, victim, "acquire", p.kind, 1, "ok")
		p.order = "release"
	}
	do(t, victim, armFor(p.point, sig))
	tell(t, victim, p.order, p.kind, 1)
	if strings.HasSuffix(p.before, "released") {
		awaitTrueSleeper(t, victim.Pid())
		require.NoError(t, s.Release(1))
		ours = false
	}
	return victim, waiter, ours
}

// killAt brings a victim to its death at the step, and sees all others go on.
func killAt(t *testing.T, p stand, c *counter, file *os.File) {
	victim, waiter, ours := p.drive(t, c, file, syscall.SIGKILL)
	require.ErrorContains(t, victim.Wait(t), "killed")
	s := c.semaphore(p.kind)
	if ours || p.lost {
		require.NoError(t, s.Release(1))
	}
	if waiter != nil {
		waiter.Expect(t, "ok")
		see(t, waiter, "release", p.kind, 1, "ok")
	}
	p.goOn(t, c, file)
}

// goOn is what must still be possible for a newcomer and for us; and the line opens
// again.
func (p stand) goOn(t *testing.T, c *counter, file *os.File) {
	newcomer, s := guest.Start(t, []*os.File{file}), c.semaphore(p.kind)
	tell(t, newcomer, "pass", p.kind, 1)
	for range 200 {
		require.NoError(t, s.Acquire(t.Context(), 1))
		c.enter(1)
		c.leave(1)
		require.NoError(t, s.Release(1))
	}
	c.Stop.Store(true)
	newcomer.Expect(t, "ok")
	require.EqualValues(t, 1, c.Most.Load())
	require.Equal(t, 1, s.Value())
	require.NoError(t, s.Acquire(t.Context(), 1))
	require.NoError(t, s.Release(1))
	require.Zero(t, boundedWordsOf(&c.Bound).line)
	require.EqualValues(t, 1<<32|1, *stateOf(&c.Sem))
}

func TestKillAtEachStepOfSemaphores(t *testing.T) {
	forStands(t, stands, killAt)
	proctest.Verified(t, "crash", "semaphores, killed", "%d kills at %d steps", len(stands), len(stands))
}

func TestKillRecovererOfSemaphoresAtEachStep(t *testing.T) {
	forStands(t, recoveries, killAt)
	proctest.Verified(t, "crash", "who comes after a dead one at a semaphore, killed", "%d kills", len(recoveries))
}

// A process is stopped at each step in turn. Others wait exactly if it has the
// permit, or claims it, or is first in line. Continued, it finishes what it began.
func TestStopAtEachStepOfSemaphores(t *testing.T) {
	forStands(t, stands, func(t *testing.T, p stand, c *counter, file *os.File) {
		victim, waiter, ours := p.drive(t, c, file, syscall.SIGSTOP)
		victim.AwaitStop(t)
		s := c.semaphore(p.kind)
		if ours {
			require.NoError(t, s.Release(1))
		}
		served := func() {
			if waiter != nil {
				waiter.Expect(t, "ok")
				see(t, waiter, "release", p.kind, 1, "ok")
			}
		}
		if !p.blocks {
			served()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if p.blocks {
			require.ErrorIs(t, s.Acquire(ctx, 1), context.DeadlineExceeded)
		} else {
			require.NoError(t, s.Acquire(t.Context(), 1))
			require.NoError(t, s.Release(1))
		}
		victim.Cont(t)
		victim.Expect(t, "ok")
		if p.blocks {
			served()
		}
		if p.order == "acquire" {
			see(t, victim, "release", p.kind, 1, "ok")
		}
		p.goOn(t, c, file)
	})
	proctest.Verified(t, "crash", "semaphores, stopped", "%d stops at %d steps", len(stands), len(stands))
}

// A late thread of the last giver, which is dead to all, puts a permit in and dies
// before it wakes the first in line. That one has looked before, and does not count on
// a wake of the dead.
func TestLateGiver(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	c.init(t, 1)
	late, first := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, late, "acquire", "semaphore", 1, "ok")
	see(t, late, "acquire", "bounded", 1, "ok")
	id := uint32(boundedWordsOf(&c.Bound).cells[0])
	*giverOf(&c.Sem) = id
	see(t, late, "lose-keeper", "semaphore", 1, "ok")
	for roster.Look(roster.ID(id)).Alive {
		runtime.Gosched()
	}
	tell(t, first, "acquire", "semaphore", 1)
	awaitTrueSleeper(t, first.Pid())
	do(t, late, armFor(probe.Sem239, syscall.SIGKILL))
	tell(t, late, "release", "semaphore", 1)
	require.ErrorContains(t, late.Wait(t), "killed")
	first.Expect(t, "ok")
}

// Somebody's claim alone stands in the way of who is first in line, which sleeps.
// When that one finds too much claimed, and takes its claim back, it wakes it.
func TestClaimTakenBackWakes(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	c.init(t, 1)
	require.True(t, c.Bound.TryAcquire(1))
	late, first := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	do(t, late, armFor(probe.Bound245, syscall.SIGSTOP))
	tell(t, late, "acquire", "bounded", 1)
	late.AwaitStop(t)
	require.NoError(t, c.Bound.Release(1))
	tell(t, first, "acquire", "bounded", 1)
	awaitTrueSleeper(t, first.Pid())
	late.Cont(t)
	first.Expect(t, "ok")
	see(t, first, "release", "bounded", 1, "ok")
	late.Expect(t, "ok")
}

// The one whose claim stands in the way is killed instead.
func TestDeadClaimWakes(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	c.init(t, 1)
	late, first := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	do(t, late, armFor(probe.Bound243, syscall.SIGSTOP))
	tell(t, late, "acquire", "bounded", 1)
	late.AwaitStop(t)
	tell(t, first, "acquire", "bounded", 1)
	awaitTrueSleeper(t, first.Pid())
	late.Kill(t)
	first.Expect(t, "ok")
}

// A holder dies between the last look of who is first in line and its sleep. It
// does not sleep over that.
func TestDeathBeforeSleep(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	c.init(t, 1)
	holder, first := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	see(t, holder, "acquire", "bounded", 1, "ok")
	do(t, first, armFor(probe.Bound249, syscall.SIGSTOP))
	tell(t, first, "acquire", "bounded", 1)
	first.AwaitStop(t)
	holder.Kill(t)
	first.Cont(t)
	first.Expect(t, "ok")
}

// All that stands in the way of a try is a claim that is about to be taken back.
// The try outlasts it.
func TestTryOutlastsClaim(t *testing.T) {
	proctest.NoLeaks(t)
	c, file := stage[counter](t)
	c.init(t, 1)
	require.True(t, c.Bound.TryAcquire(1))
	late, trier := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
	do(t, late, armFor(probe.Bound245, syscall.SIGSTOP))
	tell(t, late, "acquire", "bounded", 1)
	late.AwaitStop(t)
	require.NoError(t, c.Bound.Release(1))
	do(t, trier, armFor(probe.Bound247, syscall.SIGSTOP))
	tell(t, trier, "try", "bounded", 1)
	trier.AwaitStop(t) // its first look has failed
	late.Cont(t)
	awaitTrueSleeper(t, late.Pid()) // it stands in line behind the try
	trier.Cont(t)
	trier.Expect(t, "ok")
	see(t, trier, "release", "bounded", 1, "ok")
	late.Expect(t, "ok")
}

// All that stands in the way of a try is another that will be refused. A round
// that took long says nothing: a try does not wait for ever.
func TestTryOutlastsTry(t *testing.T) {
	proctest.NoLeaks(t)
	for {
		c, file := stage[counter](t)
		c.init(t, 2)
		require.True(t, c.Bound.TryAcquire(1))
		refused, trier := guest.Start(t, []*os.File{file}), guest.Start(t, []*os.File{file})
		do(t, refused, armFor(probe.Bound250, syscall.SIGSTOP))
		tell(t, refused, "try", "bounded", 2)
		refused.AwaitStop(t) // with the line closed, and first in it
		begin := time.Now()
		tell(t, trier, "try", "bounded", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		require.ErrorIs(t, c.Bound.Acquire(ctx, 1), context.DeadlineExceeded, "so long the try has had to begin")
		cancel()
		refused.Cont(t)
		outcome := trier.Line(t)
		refused.Expect(t, "no")
		if outcome == "ok" || time.Since(begin) < 80*time.Millisecond {
			require.Equal(t, "ok", outcome)
			return
		}
	}
}
