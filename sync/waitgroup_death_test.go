package sync_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A member is killed: what it had claimed is given back, those who wait are told
// when the rest is done, and all after them until Reset.
func TestWaitGroupMemberKilled(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	victim, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(4)
	do(t, victim, "claim 2", "claim 1", "done")
	waiter.Tell(t, "wait")
	awaitTrueSleeper(t, waiter.Pid())
	s.Group.Done()
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
	victim.Kill(t)
	waiter.Expect(t, psync.ErrMemberDied.Error())
	require.ErrorIs(t, s.Group.WaitContext(ended()), psync.ErrMemberDied)
	require.PanicsWithError(t, psync.ErrMemberDied.Error(), s.Group.Wait)

	s.Group.Add(1)
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled, "there is something to wait for")
	s.Group.Done()
	require.ErrorIs(t, s.Group.WaitContext(ended()), psync.ErrMemberDied)
	s.Group.Reset()
	require.NoError(t, s.Group.WaitContext(ended()))
	s.Group.Add(1)
	do(t, waiter, "claim 1", "done")
	s.Group.Wait()
}

// The rest is waited for although a member died.
func TestWaitGroupRestIsWaitedFor(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	victim, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(2)
	do(t, victim, "claim 1")
	waiter.Tell(t, "wait")
	awaitTrueSleeper(t, waiter.Pid())
	victim.Kill(t)
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
	s.Group.Done()
	waiter.Expect(t, psync.ErrMemberDied.Error())
}

// A member claims its part while others sleep already, and dies: they must not
// sleep over it.
func TestWaitGroupClaimerKilledWhileOthersSleep(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	for _, order := range []string{"claim 1", "go"} {
		victim, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
		s.Group.Add(1)
		waiter.Tell(t, "wait")
		awaitTrueSleeper(t, waiter.Pid())
		do(t, victim, order)
		awaitTrueSleeper(t, waiter.Pid())
		victim.Kill(t)
		if order == "go" {
			s.Group.Done()
		}
		waiter.Expect(t, psync.ErrMemberDied.Error())
		s.Group.Reset()
	}
}

// The kernel wakes one of those who watch the dead process, and that one may have
// waited for something else: who waits for a group wakes the others.
func TestWaitGroupDeathIsPassedOn(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	s.Group.Add(2)
	victim := groupPlayer.Start(t, []*os.File{file})
	do(t, victim, "claim 1")
	live := roster.Look(roster.ID(wordsOf(&s.Group)[5] & ownerMask)).Word
	first, second := sleepByHand(live), sleepByHand(live)
	told := make(chan error)
	go func() { told <- s.Group.WaitContext(context.Background()) }()
	awaitTrueSleeper(t, os.Getpid())
	victim.Kill(t)
	await(t, "the first other sleeper", first)
	await(t, "the second other sleeper", second)
	s.Group.Done()
	require.ErrorIs(t, await(t, "the waiter", told), psync.ErrMemberDied)
}

// A member that ends in an orderly way, or by a panic of what Go has started, was
// not done either.
func TestWaitGroupMemberEnds(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	member := groupPlayer.Start(t, []*os.File{file})
	do(t, member, "go")
	member.Tell(t, "quit")
	require.NoError(t, member.Wait(t))
	require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied)
	s.Group.Reset()

	member = groupPlayer.Start(t, []*os.File{file})
	do(t, member, "go and panic")
	s.Event.Set()
	require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied)
	require.Error(t, member.Wait(t))
}

// A waiter that is killed takes nothing with it.
func TestWaitGroupWaiterKilled(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	victim, survivor := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(1)
	for _, p := range []*proctest.Proc{victim, survivor} {
		p.Tell(t, "wait")
		awaitTrueSleeper(t, p.Pid())
	}
	victim.Kill(t)
	s.Group.Done()
	survivor.Expect(t, "ok")
}

// A stopped member is alive: others wait, with their contexts.
func TestWaitGroupMemberStopped(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	member, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(1)
	do(t, member, "claim 1")
	member.Stop(t)
	waiter.Tell(t, "wait")
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond) // longer than a sleep
	defer cancel()
	require.ErrorIs(t, s.Group.WaitContext(ctx), context.DeadlineExceeded)
	waiter.Tell(t, "cancel")
	waiter.Expect(t, context.Canceled.Error())
	member.Cont(t)
	do(t, member, "done")
	require.NoError(t, s.Group.WaitContext(t.Context()))
}

// A member is killed, and a thread of it takes long to stop. What it had claimed is
// given back after that, but the group serves the living meanwhile.
func TestWaitGroupServesWhileTheDeadStop(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	member, waiter, worker := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(3)
	do(t, member, "claim 1")
	halfKill(t, member)
	waiter.Tell(t, "wait")
	awaitAtFence(t, waiter, member)
	do(t, worker, "claim 1", "done", "add 1", "claim 2", "done", "done")
	ask(t, worker, "look", context.Canceled.Error())
	member.Kill(t)
	waiter.Expect(t, psync.ErrMemberDied.Error())
}

// Reset waits until the threads of a dead member have stopped, which takes long. So
// does who needs the place of one. Meanwhile the group serves the others.
func TestWaitGroupServesWhileOneWaitsForTheDead(t *testing.T) {
	for name, op := range map[string]struct {
		before func(s *groupScene)

		order, want string
	}{
		"to reset": {func(*groupScene) {}, "reset", "panic psync: Reset of a WaitGroup that counts 2"},
		"to claim": {func(s *groupScene) {
			// All other cells count something, of the worker.
			const top, cells = 1, 5 // where they are, in words
			words := wordsOf(&s.Group)
			for i := cells + 1; i < len(words); i++ {
				words[i] = 1<<32 | words[cells+1]&(1<<32-1)
			}
			words[top] |= 59 << 32
		}, "claim 1", "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[groupScene](t)
			member, other, worker := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
			s.Group.Add(4)
			do(t, member, "claim 1")
			do(t, worker, "claim 1")
			op.before(s)
			halfKill(t, member)
			other.Tell(t, op.order)
			awaitAtFence(t, other, member)
			do(t, worker, "done", "add 1", "add -1")
			member.Kill(t)
			other.Expect(t, op.want)
		})
	}
}
