package sync_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
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
	case "reset":
		s.Group.Reset()
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
