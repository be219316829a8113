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
	"github.com/go-multiproc/multiproc/internal/roster"
)

// An approach brings a victim to one step of a barrier for 3. Another party sleeps
// inside; a third is inside as well, if the victim is to be the last.
type approach struct {
	point probe.Point
	last  bool
	order string

	killed  string // what the sleeper learns if the victim dies: nothing, broken, or done
	stopped string // what the sleeper learns while the victim is stopped, and the third party has come
	victim  string // what the victim says when it is continued
}

var approaches = []approach{
	{probe.Bar301, true, "wait", "nothing", "nothing", "done"},
	{probe.Bar302, true, "wait", "nothing", "nothing", "done"},
	{probe.Bar303, true, "wait", "broken", "nothing", "done"},
	{probe.Bar303, true, "act", "broken", "nothing", "done"},
	{probe.Bar304, true, "wait", "broken", "nothing", "done"},
	{probe.Bar304, false, "wait", "broken", "nothing", "done"},
	{probe.Bar304, true, "act", "broken", "nothing", "done"},
	{probe.Bar305, false, "wait", "broken", "done", "done"},
	{probe.Bar306, true, "act", "broken", "nothing", "done"},
	{probe.Bar307, true, "act and fail", "broken", "nothing", errAction.Error()},
	{probe.Bar307, true, "act and panic", "broken", "nothing", "panic by action"},
	{probe.Bar307, false, "wait, cancel", "broken", "done", "done"},
	{probe.Bar307, false, "try", "broken", "done", "done"},
	{probe.Bar307, false, "abort", "nothing", "done", "ok"},
	{probe.Bar307, false, "reset", "nothing", "done", "ok"},
	{probe.Bar308, true, "wait", "done", "done", "done"},
	{probe.Bar308, true, "act", "done", "done", "done"},
	{probe.Bar308, true, "act and fail", "broken", "broken", errAction.Error()},
	{probe.Bar308, false, "wait, cancel", "broken", "broken", "canceled"},
	{probe.Bar308, false, "abort", "broken", "broken", "ok"},
	{probe.Bar308, false, "reset", "broken", "broken", "ok"},
	{probe.Bar309, false, "reset", "broken", "broken", "ok"},
}

// Every step of the barrier is in the table.
func TestBarrierApproachesAreComplete(t *testing.T) {
	seen := map[probe.Point]bool{}
	var points []probe.Point
	for _, a := range approaches {
		if !seen[a.point] {
			points = append(points, a.point)
		}
		seen[a.point] = true
	}
	require.Equal(t, probe.Points(probe.Bar301, probe.Bar309), points)
}

func forApproaches(t *testing.T, test func(t *testing.T, a approach)) {
	for _, a := range approaches {
		name := a.point.String() + "/" + a.order
		if a.last {
			name += "/last"
		}
		t.Run(strings.NewReplacer(" ", "", ",", "-").Replace(name), func(t *testing.T) {
			proctest.NoLeaks(t)
			test(t, a)
		})
	}
}

// drive brings the victim to its step, where sig hits it. Of the others the first
// sleeps inside, the second is inside if the victim is to be the last.
func (a approach) drive(t *testing.T, sig syscall.Signal) (y *yard, file *os.File, victim *proctest.Proc, others []*proctest.Proc) {
	y, file = fenced(t, 3)
	victim, others = party.Start(t, []*os.File{file}), parties(t, file, 2)
	inside := 1
	if a.last {
		inside = 2
	}
	for i, p := range others[:inside] {
		p.Tell(t, "wait")
		awaitInside(&y.Barrier, i+1)
	}
	awaitTrueSleeper(t, others[0].Pid())
	do(t, victim, armFor(a.point, sig))
	order, cancel, _ := strings.Cut(a.order, ", ")
	victim.Tell(t, order)
	if cancel != "" {
		awaitInside(&y.Barrier, 2)
		victim.Tell(t, cancel)
	}
	return y, file, victim, others[:inside]
}

// expect wants the outcome of those who were inside.
func expect(t *testing.T, want string, procs []*proctest.Proc) {
	t.Helper()
	for _, p := range procs {
		if want == "done" {
			require.Regexp(t, "^[012]$", p.Line(t))
		} else {
			p.Expect(t, want)
		}
	}
}

// meetAgain is what must still be possible: rounds of survivors and newcomers.
func meetAgain(t *testing.T, y *yard, file *os.File, survivors []*proctest.Proc) {
	t.Helper()
	all := append(survivors, parties(t, file, 3-len(survivors))...)
	tellAll(t, all, "rounds 50")
	for _, p := range all {
		p.Expect(t, "ok")
	}
	require.False(t, y.Barrier.Broken())
}

// A party is killed at each step in turn. Who is inside learns of it if it was
// inside as well, and never otherwise.
func TestBarrierKillAtEachStep(t *testing.T) {
	forApproaches(t, func(t *testing.T, a approach) {
		y, file, victim, others := a.drive(t, syscall.SIGKILL)
		require.ErrorContains(t, victim.Wait(t), "killed")
		switch {
		case a.killed != "nothing":
			expect(t, a.killed, others)
		default:
			require.False(t, y.Barrier.Broken())
			missing := parties(t, file, 3-len(others))
			tellAll(t, missing, "wait")
			expect(t, "done", others)
			expect(t, "done", missing)
		}
		if y.Barrier.Broken() {
			y.Barrier.Reset()
		}
		meetAgain(t, y, file, others)
	})
	proctest.Verified(t, "crash", "Barrier, killed", "%d kills at %d steps", len(approaches), probe.Bar309-probe.Bar301+1)
}

// A party is stopped at each step in turn. Nobody takes it for dead, and continued
// it finishes what it began, and harms no later round.
func TestBarrierStopAtEachStep(t *testing.T) {
	forApproaches(t, func(t *testing.T, a approach) {
		y, file, victim, others := a.drive(t, syscall.SIGSTOP)
		victim.AwaitStop(t)
		if !a.last && a.stopped != "broken" {
			missing := parties(t, file, 1)
			if a.point == probe.Bar307 && (a.order == "abort" || a.order == "reset") {
				missing = append(missing, parties(t, file, 1)...) // the victim is not inside
			}
			tellAll(t, missing, "wait")
			others = append(others, missing...)
		}
		if a.stopped != "nothing" {
			expect(t, a.stopped, others)
		}
		if a.stopped == "broken" && y.Barrier.Broken() {
			y.Barrier.Reset()
			meetAgain(t, y, file, others[:1])
		}
		victim.Cont(t)
		expect(t, a.victim, []*proctest.Proc{victim})
		switch {
		case a.stopped != "nothing":
		case a.victim == "done":
			expect(t, "done", others)
		default:
			expect(t, "broken", others)
			y.Barrier.Reset()
		}
		if y.Barrier.Broken() {
			require.Equal(t, "abort", a.order, "it breaks the next round")
			y.Barrier.Reset()
		}
		meetAgain(t, y, file, []*proctest.Proc{victim, others[0]})
	})
	proctest.Verified(t, "crash", "Barrier, stopped", "%d stops at %d steps", len(approaches), probe.Bar309-probe.Bar301+1)
}

// A party dies inside, and then, at each of its steps, the one who finds that or
// makes it good. The sleeper, who was stopped meanwhile, learns of it.
func TestBarrierKillRecovererAtEachStep(t *testing.T) {
	steps := []struct {
		point  probe.Point
		orders []string
	}{
		{probe.Bar301, []string{"wait"}},
		{probe.Bar302, []string{"wait"}},
		{probe.Bar303, []string{"wait"}},
		{probe.Bar307, []string{"wait"}},
		{probe.Bar308, []string{"wait"}},
		{probe.Bar307, []string{"abort"}},
		{probe.Bar308, []string{"abort"}},
		{probe.Bar307, []string{"reset"}},
		{probe.Bar308, []string{"reset"}},
		{probe.Bar309, []string{"reset"}},
		{probe.Bar309, []string{"abort", "reset"}},
	}
	for _, step := range steps {
		t.Run(strings.ReplaceAll(step.point.String(), " ", "")+"/"+strings.Join(step.orders, "-"), func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 3)
			procs := parties(t, file, 2)
			for i, p := range procs {
				p.Tell(t, "wait")
				awaitInside(&y.Barrier, i+1)
			}
			first, sleeper := procs[0], procs[1]
			awaitTrueSleeper(t, sleeper.Pid())
			sleeper.Stop(t)
			second := party.Start(t, []*os.File{file})
			do(t, second, step.orders[:len(step.orders)-1]...)
			first.Kill(t)
			do(t, second, armFor(step.point, syscall.SIGKILL))
			second.Tell(t, step.orders[len(step.orders)-1])
			require.ErrorContains(t, second.Wait(t), "killed")
			sleeper.Cont(t)
			sleeper.Expect(t, "broken")
			require.True(t, y.Barrier.Broken(), "nobody has reset it")
			y.Barrier.Reset()
			meetAgain(t, y, file, []*proctest.Proc{sleeper})
		})
	}
	proctest.Verified(t, "crash", "who finds a party dead or resets the barrier, killed", "%d kills at 6 steps", len(steps))
}

// A member comes between a sleeper's last look and its sleep, and dies then.
func TestBarrierMemberComesBeforeSleep(t *testing.T) {
	proctest.NoLeaks(t)
	_, file := fenced(t, 2)
	procs := parties(t, file, 2)
	do(t, procs[0], armFor(probe.Bar305, syscall.SIGSTOP))
	procs[0].Tell(t, "wait")
	procs[0].AwaitStop(t)
	ask(t, procs[1], "register", "0")
	procs[0].Cont(t)
	awaitTrueSleeper(t, procs[0].Pid())
	procs[1].Kill(t)
	procs[0].Expect(t, "broken")
}

// A late thread of a dead process marks its cell, and is counted, when somebody
// sleeps already. So nobody sleeps before the threads of the dead are at rest, and a
// look after that. Here a living process is taken for dead, by hand: its threads go
// on until the fence gives up, a second later.
func TestBarrierLateThread(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 2)
	late := procs[0]
	late.Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	cell := cellsOf(&y.Barrier)[0].Load()
	y.Barrier.Reset()
	late.Expect(t, "broken")

	const ownerDied = 1 << 30 // FUTEX_OWNER_DIED
	sight := roster.Look(roster.ID(cell & roster.Mask))
	sight.Word.Or(ownerDied)
	procs[1].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	late.Tell(t, "wait")
	procs[1].Expect(t, "broken")
	late.Expect(t, "broken")
	late.Kill(t)
}
