package sync_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A groupScene is the shared memory of a test of WaitGroup.
type groupScene struct {
	Group, Second psync.WaitGroup
	Next          [2]psync.WaitGroup // for even and for odd rounds: one is left until the next round may begin
	N             [8]int64           // each written by one process before Done, read after Wait
	Event         psync.Event
}

var groupPlayer = proctest.Register("group", play(func(ctx context.Context, s *groupScene, order string) string {
	var n, rounds int
	switch order {
	case "done":
		s.Group.Done()
		return "ok"
	case "wait":
		return describe(s.Group.WaitContext(ctx))
	case "look":
		return describe(s.Group.WaitContext(ended()))
	case "churn":
		for ctx.Err() == nil {
			s.Group.Go(func() {})
			s.Group.Go(func() {})
			_ = s.Group.WaitContext(ctx)
		}
		return "ok"
	case "look and end":
		_ = s.Group.WaitContext(ended())
		os.Exit(0)
	case "report calls":
		fd, err := notifyLockCalls()
		if err != nil {
			return err.Error()
		}
		return strconv.Itoa(fd)
	case "go":
		s.Group.Go(func() { s.Event.Wait(context.Background()) })
		return "ok"
	case "go and panic":
		s.Group.Go(func() {
			s.Event.Wait(context.Background())
			panic("on purpose: a test of WaitGroup.Go")
		})
		return "ok"
	}
	if k, _ := fmt.Sscanf(order, "add %d", &n); k == 1 {
		s.Group.Add(n)
		return "ok"
	}
	if k, _ := fmt.Sscanf(order, "claim %d", &n); k == 1 {
		return describe(s.Group.Claim(n))
	}
	if k, _ := fmt.Sscanf(order, "work %d %d", &n, &rounds); k == 2 {
		for round := range rounds {
			if err := s.Group.Claim(1); err != nil {
				return err.Error()
			}
			s.N[n]++
			s.Group.Done()
			s.Next[round%2].Wait()
		}
		return "ok"
	}
	return "unknown order " + order
}))

// std's own test of its WaitGroup.
func TestWaitGroup(t *testing.T) {
	s, _ := stage[groupScene](t)
	for range 8 {
		const n = 16
		s.Group.Add(n)
		s.Second.Add(n)
		exited := make(chan bool, n)
		for range n {
			go func() {
				s.Group.Done()
				s.Second.Wait()
				exited <- true
			}()
		}
		s.Group.Wait()
		for range n {
			require.Empty(t, exited, "WaitGroup released a goroutine too soon")
			s.Second.Done()
		}
		for range n {
			require.True(t, await(t, "a goroutine", exited))
		}
	}
}

// What goroutines that Go has started did is done when Wait returns.
func TestWaitGroupGo(t *testing.T) {
	s, _ := stage[groupScene](t)
	for range 100 {
		data := make([]int, 4)
		for i := range data {
			s.Group.Go(func() {
				data[i]++
				if i == 2 {
					runtime.Goexit()
				}
			})
		}
		s.Group.Wait()
		require.Equal(t, []int{1, 1, 1, 1}, data)
	}
}

// Processes do their parts of many rounds. Nobody is let through before all are
// done, and nobody is left behind.
func TestWaitGroupRounds(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	const rounds = 300
	players := make([]*proctest.Proc, 3)
	s.Group.Add(len(players))
	s.Next[0].Add(1)
	for i := range players {
		players[i] = groupPlayer.Start(t, []*os.File{file})
		players[i].Tell(t, fmt.Sprintf("work %d %d", i, rounds))
	}
	for round := range int64(rounds) {
		s.Group.Wait()
		for i := range players {
			require.Equal(t, round+1, s.N[i])
		}
		if round < rounds-1 {
			s.Group.Add(len(players))
			s.Next[(round+1)%2].Add(1) // all have come back from its last round
		}
		s.Next[round%2].Done()
	}
	for _, p := range players {
		p.Expect(t, "ok")
	}
}

// A group may be used again before all have returned from Wait: they came for the
// round before.
func TestWaitGroupReusedAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	s.Group.Add(1)
	waiter := groupPlayer.Start(t, []*os.File{file})
	waiter.Tell(t, "wait")
	awaitTrueSleeper(t, waiter.Pid())
	waiter.Stop(t)
	s.Group.Done()
	s.Group.Add(1)
	waiter.Cont(t)
	waiter.Expect(t, "ok")
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
}

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

// All who wait learn of a death, not only the one that the kernel has woken.
func TestWaitGroupAllLearn(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	s.Group.Add(1)
	victim := groupPlayer.Start(t, []*os.File{file})
	do(t, victim, "claim 1")
	players := make([]*proctest.Proc, 4)
	for i := range players {
		players[i] = groupPlayer.Start(t, []*os.File{file})
		players[i].Tell(t, "wait")
		awaitTrueSleeper(t, players[i].Pid())
	}
	victim.Kill(t)
	for _, p := range players {
		p.Expect(t, psync.ErrMemberDied.Error())
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

// The context ends the wait of the one that sleeps and of those at the gate.
func TestWaitGroupCancelled(t *testing.T) {
	proctest.NoLeaks(t)
	s, _ := stage[groupScene](t)
	s.Group.Add(1)
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := make(chan error)
	for range 10 {
		go func() { outcomes <- s.Group.WaitContext(ctx) }()
	}
	awaitAtGate(9)
	cancel()
	for range 10 {
		require.ErrorIs(t, await(t, "a goroutine", outcomes), context.Canceled)
	}
	s.Group.Done()
	s.Group.Wait()
}

// Misuse panics, and leaves the group unharmed.
func TestWaitGroupMisuse(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	g, us := &s.Group, os.Getpid()
	negative := func(delta, claimed, unclaimed, others int) string {
		return fmt.Sprintf("psync: Add(%d) by process %d to a WaitGroup of which it has claimed %d, nobody %d, others %d: negative", delta, us, claimed, unclaimed, others)
	}
	require.PanicsWithValue(t, negative(-1, 0, 0, 0), g.Done)
	g.Wait()

	other := groupPlayer.Start(t, []*os.File{file})
	g.Add(4)
	do(t, other, "claim 1")
	require.NoError(t, g.Claim(2))
	require.PanicsWithValue(t, negative(-4, 2, 1, 1), func() { g.Add(-4) })
	require.PanicsWithValue(t, fmt.Sprintf("psync: Claim(2) by process %d of a WaitGroup of which nobody has claimed 1", us), func() { _ = g.Claim(2) })
	require.PanicsWithValue(t, "psync: Claim(-1) of a WaitGroup: negative", func() { _ = g.Claim(-1) })
	require.PanicsWithValue(t, "psync: Reset of a WaitGroup that counts 4", g.Reset)
	require.PanicsWithValue(t, "psync: Add(2147483644) to a WaitGroup that counts 4: more than 2^31-1", func() { g.Add(1<<31 - 4) })
	require.NoError(t, g.Claim(0))
	g.Add(0)
	g.Add(-3) // two of its own, and one that nobody has claimed
	require.PanicsWithValue(t, negative(-1, 0, 0, 1), g.Done)
	do(t, other, "done")
	g.Wait()
}

// What a dead process had claimed is given back before Add says that too little
// is left, so that nobody waits for what nobody can take back any more.
func TestWaitGroupAddVoidsDeadFirst(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	victim, waiter := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(1)
	do(t, victim, "claim 1")
	victim.Kill(t)
	require.PanicsWithValue(t, fmt.Sprintf("psync: Add(-1) by process %d to a WaitGroup of which it has claimed 0, nobody 0, others 0: negative", os.Getpid()), s.Group.Done)
	ask(t, waiter, "look", psync.ErrMemberDied.Error())
}

// Claims of more processes than there are cells fail; those of the dead make room.
func TestWaitGroupFull(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[groupScene](t)
	const cells, first = 59, 5
	words := wordsOf(&s.Group)
	dead, living := groupPlayer.Start(t, []*os.File{file}), groupPlayer.Start(t, []*os.File{file})
	s.Group.Add(3)
	do(t, dead, "claim 1")
	do(t, living, "claim 1")
	for i := 2; i < cells; i++ {
		words[first+i] = words[first+1] // as if they were others'
	}
	words[1] |= cells << 32
	require.ErrorContains(t, s.Group.Claim(1), "59 other processes have claimed a part: no room for one more")
	require.Panics(t, func() { s.Group.Go(func() {}) })
	dead.Kill(t)
	require.NoError(t, s.Group.Claim(1))
	s.Group.Done()
	for i := 1; i < cells; i++ {
		words[first+i] = 0
	}
	require.ErrorIs(t, s.Group.WaitContext(t.Context()), psync.ErrMemberDied, "who made room told of it")
}

// In damaged memory nothing runs out of bounds or for ever.
func TestWaitGroupDamaged(t *testing.T) {
	proctest.NoLeaks(t)
	const seq, state, recordCell, cell = 1, 2, 3, 5
	for _, damage := range []struct {
		word  int
		value uint64
		err   error // of Wait, after what is counted was taken back
	}{
		{seq, 1<<64 - 1, nil},
		{seq, 1 << 63, nil},
		{state, 1<<63 - 1<<32, psync.ErrMemberDied},
		{recordCell, 1<<64 - 1, nil},
		{cell, 1<<64 - 1, psync.ErrMemberDied},
		{cell, 5<<32 | 12345, psync.ErrMemberDied},
	} {
		s, file := stage[groupScene](t)
		victim := groupPlayer.Start(t, []*os.File{file})
		do(t, victim, "add 1", "claim 1", "done")
		words := wordsOf(&s.Group)
		words[0] = words[cell] // mu, held by the victim
		words[damage.word] = damage.value
		victim.Kill(t)
		s.Group.Add(1)
		require.NoError(t, s.Group.Claim(1))
		s.Group.Done()
		require.Equal(t, damage.err, s.Group.WaitContext(t.Context()), "word %d: %#x", damage.word, damage.value)
	}
	s, _ := stage[groupScene](t)
	wordsOf(&s.Group)[state] = 1<<32 - 1
	require.Panics(t, func() { s.Group.Add(1) })
	require.ErrorIs(t, s.Group.WaitContext(ended()), context.Canceled)
}

// Many who wait in one process cost no threads.
func TestWaitGroupWaitersCostNoThreads(t *testing.T) {
	s, _ := stage[groupScene](t)
	s.Group.Add(1)
	before := threads(t)
	var arrived, served sync.WaitGroup
	for range 10_000 {
		arrived.Add(1)
		served.Go(func() {
			arrived.Done()
			s.Group.Wait()
		})
	}
	arrived.Wait()
	awaitTrueSleeper(t, os.Getpid())
	require.LessOrEqual(t, threads(t), before+4)
	s.Group.Done()
	served.Wait()
}

// As long as nobody waits, nothing is asked of the kernel.
func TestWaitGroupAsksNothing(t *testing.T) {
	proctest.NoLeaks(t)
	_, file := stage[groupScene](t)
	p := groupPlayer.Start(t, []*os.File{file})
	p.Tell(t, "report calls")
	fd, err := strconv.Atoi(p.Line(t))
	require.NoError(t, err)
	c := countCalls(t, p, fd)
	for range 100 {
		do(t, p, "add 2", "claim 1", "done", "done", "wait")
	}
	require.Zero(t, c.waits.Load()+c.wakes.Load())
}

// The race detector knows that all that was done comes before Wait's return,
// also for those who did not look under the lock.
func TestWaitGroupNoFalseRace(t *testing.T) {
	s, _ := stage[groupScene](t)
	for range 50 {
		data := make([]int, 4)
		var all sync.WaitGroup
		s.Group.Add(len(data))
		for i := range data {
			all.Go(func() {
				data[i]++
				s.Group.Done()
			})
		}
		var sum atomic.Int64
		for range 4 {
			all.Go(func() {
				s.Group.Wait()
				for _, n := range data {
					sum.Add(int64(n))
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 16, sum.Load())
	}
}

func BenchmarkWaitGroup(b *testing.B) {
	var g psync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		g.Add(1)
		g.Done()
		g.Wait()
	}
}

func BenchmarkWaitGroupClaimed(b *testing.B) {
	var g psync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		g.Add(1)
		_ = g.Claim(1)
		g.Done()
		g.Wait()
	}
}

func BenchmarkStdWaitGroup(b *testing.B) {
	var g sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		g.Add(1)
		g.Done()
		g.Wait()
	}
}

// Who waits for a round that is over goes on, however slow it is to come to the
// gate: it does not stand behind another goroutine that waits for the next round.
func TestWaitGroupSlowAtTheGate(t *testing.T) {
	s, _ := stage[groupScene](t)
	wait := func(ctx context.Context) <-chan error {
		outcome := make(chan error)
		go func() { outcome <- s.Group.WaitContext(ctx) }()
		return outcome
	}
	s.Group.Add(1)
	slow := newHesitant(t)
	first := wait(slow)
	await(t, "the gate", slow.here)
	s.Group.Done()
	s.Group.Add(1)
	next := wait(t.Context())
	awaitTrueSleeper(t, os.Getpid())
	close(slow.goOn)
	require.NoError(t, await(t, "who was slow", first))
	s.Group.Done()
	require.NoError(t, await(t, "the next round", next))
}
