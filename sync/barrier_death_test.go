package sync_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// What CPython does not survive: Barrier(3), 1 of 3 is killed while waiting, 2 more
// arrive, and both hang.
func TestBarrierPartyKilled(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 3)
	procs[0].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	procs[0].Kill(t)
	tellAll(t, procs[1:], "wait")
	for _, p := range procs[1:] {
		p.Expect(t, "broken")
	}
	require.True(t, y.Barrier.Broken())
	y.Barrier.Reset()
	again := append(procs[1:], parties(t, file, 1)...)
	tellAll(t, again, "wait")
	indexes(t, again)
}

// The last to come looks as well: nobody else is there to find the death.
func TestBarrierPartyKilledBeforeTheLast(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	procs := parties(t, file, 2)
	procs[0].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	procs[0].Kill(t)
	ask(t, procs[1], "wait", "broken")
}

// A party that ends in an orderly way is as dead as another.
func TestBarrierPartyExits(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 2)
	tellAll(t, procs, "wait")
	awaitInside(&y.Barrier, 2)
	procs[0].Tell(t, "quit")
	procs[1].Expect(t, "broken")
	require.NoError(t, procs[0].Wait(t))
}

// Who dies after its round breaks nothing.
func TestBarrierPartyKilledAfterwards(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 3)
	tellAll(t, procs, "wait")
	indexes(t, procs)
	procs[0].Kill(t)
	require.False(t, y.Barrier.Broken())
	again := append(procs[1:], parties(t, file, 1)...)
	tellAll(t, again, "wait")
	indexes(t, again)
}

// A registered member breaks the barrier wherever it dies.
func TestBarrierMemberKilled(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 3)
	do(t, procs[2], "unregister")
	for _, p := range procs {
		ask(t, p, "register", "0")
	}
	do(t, procs[1], "unregister")
	tellAll(t, procs[:1], "wait")
	awaitInside(&y.Barrier, 1)
	procs[1].Kill(t)
	require.False(t, y.Barrier.Broken(), "it was a member no more")
	procs[2].Kill(t)
	procs[0].Expect(t, "broken")
	y.Barrier.Reset()
	again := append(procs[:1], parties(t, file, 2)...)
	tellAll(t, again, "wait")
	indexes(t, again)
}

// Broken finds out by itself that a member has died.
func TestBarrierBrokenLooks(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	p := party.Start(t, []*os.File{file})
	ask(t, p, "register", "0")
	require.False(t, y.Barrier.Broken())
	p.Kill(t)
	require.True(t, y.Barrier.Broken())
}

// The process that runs the action is killed, or another party while it does.
func TestBarrierKilledWhileActing(t *testing.T) {
	for _, victim := range []string{"the runner", "another party"} {
		t.Run(victim, func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 3)
			procs := parties(t, file, 4)
			tellAll(t, procs[:2], "act")
			awaitInside(&y.Barrier, 2)
			procs[2].Tell(t, "act and wait")
			for y.Count.Load() == 0 {
				runtime.Gosched()
			}
			procs[3].Tell(t, "wait") // for the next round
			killed := 2
			if victim == "another party" {
				killed = 0
			}
			procs[killed].Kill(t)
			if killed != 2 {
				procs[0], procs[2] = procs[2], procs[0]
				for !y.Barrier.Broken() {
					runtime.Gosched()
				}
				procs[0].Tell(t, "cancel") // which ends the action
			}
			for _, i := range []int{0, 1, 3} {
				procs[i].Expect(t, "broken")
			}
			y.Barrier.Reset()
			tellAll(t, []*proctest.Proc{procs[0], procs[1], procs[3]}, "wait")
			indexes(t, []*proctest.Proc{procs[0], procs[1], procs[3]})
		})
	}
}

// An action that fails breaks the barrier. Its party gets the error, or the panic.
func TestBarrierActionFails(t *testing.T) {
	for order, want := range map[string]string{"act and fail": errAction.Error(), "act and panic": "panic by action"} {
		t.Run(order, func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 2)
			procs := parties(t, file, 2)
			procs[0].Tell(t, "wait")
			awaitInside(&y.Barrier, 1)
			ask(t, procs[1], order, want)
			procs[0].Expect(t, "broken")
			require.True(t, y.Barrier.Broken())
		})
	}
}

// Newcomers wait until the action is done, and are parties of the next round. One
// that gives up before that breaks nothing.
func TestBarrierNewcomerWhileActing(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 1)
	procs := parties(t, file, 3)
	procs[0].Tell(t, "act and wait")
	for y.Count.Load() == 0 {
		runtime.Gosched()
	}
	tellAll(t, procs[1:], "wait")
	procs[2].Tell(t, "cancel")
	procs[2].Expect(t, "canceled")
	_, err := y.Barrier.Wait(ended())
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, y.Barrier.Broken())
	ask(t, procs[0], "cancel", "0")
	procs[1].Expect(t, "0")
}

// Whose context ends breaks the barrier for the others.
func TestBarrierPartyGivesUp(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 2)
	tellAll(t, procs, "wait")
	awaitInside(&y.Barrier, 2)
	ask(t, procs[0], "cancel", "canceled")
	procs[1].Expect(t, "broken")
}

// A stopped party is alive: the others wait for it, and it learns how its round
// ended however late.
func TestBarrierPartyStopped(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	procs := parties(t, file, 3)
	procs[0].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	procs[0].Stop(t)
	ask(t, procs[1], "wait", "1")
	for range 50 {
		tellAll(t, procs[1:], "wait")
		indexes(t, procs[1:])
	}
	procs[1].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	require.False(t, y.Barrier.Broken())
	procs[0].Cont(t)
	procs[0].Expect(t, "0")
	ask(t, procs[2], "wait", "1")
	procs[1].Expect(t, "0")
}

// Who sleeps through a break and a reset is not told that its round was complete.
func TestBarrierStoppedDuringReset(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	procs := parties(t, file, 3)
	procs[0].Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	procs[0].Stop(t)
	y.Barrier.Reset()
	for range 50 {
		tellAll(t, procs[1:], "wait")
		indexes(t, procs[1:])
	}
	procs[0].Cont(t)
	procs[0].Expect(t, "broken")
}

// 63 processes one after the other: a place is a process's only as long as it
// needs it.
func TestBarrierPlaces(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 1)
	cells := cellsOf(&y.Barrier)
	first, last := party.Start(t, []*os.File{file}), party.Start(t, []*os.File{file})
	ask(t, first, "wait", "0")
	for i := 1; i < len(cells); i++ {
		cells[i].Store(cells[0].Load() | 1<<63) // as registered as the first
	}
	ask(t, last, "wait", "0")
	require.NotZero(t, cells[0].Load()&^(1<<30-1), "it has the place of the first, who is outside")
	do(t, last, "unregister")
	ask(t, last, "register", "0")
	ask(t, last, "wait", "0")
	_, err := y.Barrier.Wait(t.Context())
	require.EqualError(t, err, "psync: no place at the barrier: 62 processes are inside or registered")
}

// Who sleeps learns at once of all that can happen: nothing here needs its looks on its
// own account. (They would hide what is lost: `make mutate` runs this test without
// them.) The sleeper has 2 parties and 1 member to watch that come after it fell
// asleep.
func TestBarrierNeedsNoLooks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen func(t *testing.T, b *psync.Barrier, later []*proctest.Proc)
		want   string
	}{
		{"complete", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) { ask(t, later[2], "wait", "3") }, "0"},
		{"complete with an action", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) { ask(t, later[2], "act", "3") }, "0"},
		{"action fails", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) {
			ask(t, later[2], "act and fail", errAction.Error())
		}, "broken"},
		{"abort", func(_ *testing.T, b *psync.Barrier, _ []*proctest.Proc) { b.Abort() }, "broken"},
		{"reset", func(_ *testing.T, b *psync.Barrier, _ []*proctest.Proc) { b.Reset() }, "broken"},
		{"a context ends", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) { ask(t, later[0], "cancel", "canceled") }, "broken"},
		{"a party dies", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) { later[1].Kill(t) }, "broken"},
		{"a member dies", func(t *testing.T, _ *psync.Barrier, later []*proctest.Proc) { later[2].Kill(t) }, "broken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 4)
			sleeper := party.Start(t, []*os.File{file})
			later := parties(t, file, 3)
			sleeper.Tell(t, "wait")
			awaitTrueSleeper(t, sleeper.Pid())
			for i, p := range later[:2] {
				p.Tell(t, "wait")
				awaitInside(&y.Barrier, i+2)
				awaitTrueSleeper(t, p.Pid()) // it knows of those who were there before
			}
			ask(t, later[2], "register", "0")
			awaitTrueSleeper(t, sleeper.Pid())
			tt.happen(t, &y.Barrier, later)
			sleeper.Expect(t, tt.want)
		})
	}
}

const barrierW = 1 << 2 // somebody may sleep at the barrier

// A process that is no member any more is killed, and a thread of it takes long to
// stop. That holds up nobody: not a party whose round is complete, nor one that is to
// learn of a member's death, or that its context has ended.
func TestBarrierDoesNotWaitForTheDeadToStop(t *testing.T) {
	for name, goOn := range map[string]func(t *testing.T, y *yard, waiter, member *proctest.Proc){
		"the round is complete": func(t *testing.T, y *yard, waiter, member *proctest.Proc) {
			do(t, member, "unregister")
			ask(t, member, "wait", "1")
			waiter.Expect(t, "0")
		},
		"a member dies": func(t *testing.T, y *yard, waiter, member *proctest.Proc) {
			member.Kill(t)
			waiter.Expect(t, "broken")
		},
		"the context ends": func(t *testing.T, y *yard, waiter, member *proctest.Proc) {
			waiter.Tell(t, "cancel")
			waiter.Expect(t, "canceled")
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 2)
			procs := parties(t, file, 3)
			waiter, member, former := procs[0], procs[1], procs[2]
			ask(t, member, "register", "0")
			tellAll(t, procs[1:], "wait")
			indexes(t, procs[1:])
			halfKill(t, former)
			waiter.Tell(t, "wait")
			for barrierStateOf(&y.Barrier).Load()&barrierW == 0 {
				runtime.Gosched()
			}
			goOn(t, y, waiter, member)
			former.Kill(t)
		})
	}
}

// A late thread of a dead process registers it while Reset waits for that process to
// stop. Reset forgets that as well, whatever the process was to the barrier before.
func TestBarrierResetForgetsLateRegistration(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, y *yard, late *proctest.Proc){
		"of a former party": func(t *testing.T, y *yard, late *proctest.Proc) {
			late.Tell(t, "wait")
			_, err := y.Barrier.Wait(t.Context())
			require.NoError(t, err)
			late.Line(t)
		},
		"of a former member": func(t *testing.T, y *yard, late *proctest.Proc) {
			ask(t, late, "register", "0")
			do(t, late, "unregister")
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			y, file := fenced(t, 2)
			procs := parties(t, file, 2)
			late := procs[1]
			begin(t, y, late)
			halfKill(t, late)
			procs[0].Tell(t, "reset")
			awaitAtFence(t, procs[0], late)
			ask(t, late, "register", "0")
			late.Kill(t)
			procs[0].Expect(t, "ok")
			require.False(t, y.Barrier.Broken())
		})
	}
}
