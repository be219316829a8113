//go:build crash

package roster

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// doomed is a member that ends or stops at a step of its claim. Its arguments
// are the table, the step, the signal, and the system calls refused to it.
var doomed = proctest.Register("doomed", func(h *proctest.Helper) error {
	step, err := strconv.Atoi(h.Args[1])
	if err != nil {
		return err
	}
	signal, err := strconv.Atoi(h.Args[2])
	if err != nil {
		return err
	}
	if err := refuseAll(h.Args[3:]); err != nil {
		return err
	}
	probe.Arm(probe.Point(step), unix.Signal(signal))
	join(h)
	_, err = h.Listen()
	return err
})

func startDoomed(t *testing.T, path string, step probe.Point, signal unix.Signal, refused ...string) *proctest.Proc {
	t.Helper()
	return doomed.Start(t, nil, append([]string{path, strconv.Itoa(int(step)), strconv.Itoa(int(signal))}, refused...)...)
}

// untilStopped waits until the helper has stopped itself.
func untilStopped(t *testing.T, p *proctest.Proc) {
	t.Helper()
	until(t, func() bool {
		err := unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WSTOPPED, nil)
		if err != unix.EINTR {
			require.NoError(t, err)
		}
		return err == nil
	})
}

var claimSteps = probe.Points(probe.Claim20, probe.Claim27)

// eachStep runs a test at each step of a claim, in a table whose first slot had
// an owner before.
func eachStep(t *testing.T, slots int, test func(t *testing.T, tab *table, path string, former ID, step probe.Point)) {
	for _, step := range claimSteps {
		t.Run(step.String(), func(t *testing.T) {
			proctest.NoLeaks(t)
			tab, path := newTable(t, slots)
			p, former := start(t, path)
			p.Kill(t)
			tab.header.cursor.Store(0)
			test(t, tab, path, former, step)
		})
	}
}

// TestKilledClaimer kills a claimer at each step. All slots can be claimed
// afterwards, and whoever owned the slot before is still dead.
func TestKilledClaimer(t *testing.T) {
	kills := 0
	eachStep(t, 2, func(t *testing.T, tab *table, path string, former ID, step probe.Point) {
		for _, refused := range [][]string{nil, {"set_robust_list"}} {
			p := startDoomed(t, path, step, unix.SIGKILL, refused...)
			require.ErrorContains(t, p.Wait(t), "killed")
			kills++
			require.False(t, Look(former).Alive)

			a, idA := start(t, path)
			b, idB := start(t, path)
			require.Equal(t, []int{0, 1}, indexes(idA, idB), "no slot is lost")
			late := member.Start(t, nil, path)
			require.Contains(t, late.Line(t), ErrFull.Error())
			for _, id := range []ID{idA, idB} {
				require.True(t, Look(id).Alive)
			}
			a.Kill(t)
			b.Kill(t)
			require.False(t, Look(idA).Alive)
			require.False(t, Look(idB).Alive)
			tab.header.cursor.Store(0)
		}
	})
	proctest.Verified(t, "crash", "claiming a slot, killed", "%d kills at %d steps", kills, len(claimSteps))
}

// TestStoppedClaimer stops a claimer at each step. Another claims meanwhile, and
// the stopped one, when it goes on, neither takes nor loses anything.
func TestStoppedClaimer(t *testing.T) {
	eachStep(t, 2, func(t *testing.T, tab *table, path string, former ID, step probe.Point) {
		p := startDoomed(t, path, step, unix.SIGSTOP)
		untilStopped(t, p)
		_, other := start(t, path)
		before := snapshot(tab)[other.index()]
		p.Cont(t)
		own := admitted(t, p)
		require.Equal(t, []int{0, 1}, indexes(own, other))
		require.Equal(t, before, snapshot(tab)[other.index()], "the other's slot is untouched")
		require.True(t, Look(own).Alive)
		require.True(t, Look(other).Alive)
		require.False(t, Look(former).Alive)
		require.Equal(t, p.Pid(), Look(own).Pid)
		p.Kill(t)
		require.False(t, Look(own).Alive)
		require.True(t, Look(other).Alive)
	})
	proctest.Verified(t, "crash", "claiming a slot, stopped", "%[1]d stops at %[1]d steps", len(claimSteps))
}

// TestOvertakenClaimer stops a claimer before it takes the only slot, or when it
// has just done so. Of two claimers one wins, and the other is told so.
func TestOvertakenClaimer(t *testing.T) {
	eachStep(t, 1, func(t *testing.T, tab *table, path string, former ID, step probe.Point) {
		p := startDoomed(t, path, step, unix.SIGSTOP)
		untilStopped(t, p)
		other := member.Start(t, nil, path)
		line := other.Line(t)
		before := snapshot(tab)[0]
		p.Cont(t)
		winner := p
		if step <= probe.Claim22 {
			require.Contains(t, p.Line(t), ErrFull.Error())
			require.Equal(t, before, snapshot(tab)[0], "the loser left the winner's slot as it was")
			winner = other
		} else {
			require.Contains(t, line, ErrFull.Error())
			admitted(t, p)
		}
		id := makeID(0, former.generation()+1)
		require.True(t, Look(id).Alive)
		require.Equal(t, winner.Pid(), Look(id).Pid)
		winner.Kill(t)
		require.False(t, Look(id).Alive)
	})
	proctest.Verified(t, "crash", "claiming the only slot, overtaken", "%[1]d stops at %[1]d steps", len(claimSteps))
}

// TestSleeperOnClaimedSlot looks at the earlier owner while a claimer stands
// between steps 22 and 23: it looks alive. Whoever goes to sleep on that is
// woken when the claimer goes on, and when it dies instead.
func TestSleeperOnClaimedSlot(t *testing.T) {
	for name, goOn := range map[string]func(*testing.T, *proctest.Proc){
		"goes on": func(t *testing.T, p *proctest.Proc) { p.Cont(t) },
		"dies":    func(t *testing.T, p *proctest.Proc) { p.Kill(t) },
	} {
		t.Run(name, func(t *testing.T) {
			_, path := newTable(t, 1)
			p, former := start(t, path)
			p.Kill(t)
			claimer := startDoomed(t, path, probe.Claim23, unix.SIGSTOP)
			untilStopped(t, claimer)
			s := Look(former)
			require.True(t, s.Alive, "the generation is still its own")

			woken := watch(t, former)
			goOn(t, claimer)
			await(t, "the sleeper", woken)
			require.False(t, Look(former).Alive)
		})
	}
}
