package sync_test

import (
	"bytes"
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

	awaitlib "github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An eventScene is the shared memory of a test of events.
type eventScene struct {
	Event, Back psync.Event
	Seen        atomic.Int64
	Lines       [16][16]int64 // stores to these keep the next ones waiting in the processor
	N           int64         // a plain store before Set, a plain load after Wait
}

var eventPlayer = proctest.Register("event", play(func(ctx context.Context, s *eventScene, order string) string {
	var n int64
	switch order {
	case "wait":
		return strconv.FormatBool(s.Event.Wait(ctx))
	case "set":
		s.Event.Set()
		return "ok"
	case "clear":
		s.Event.Clear()
		return "ok"
	case "is set":
		return strconv.FormatBool(s.Event.IsSet())
	case "report calls":
		fd, err := notifyLockCalls()
		if err != nil {
			return err.Error()
		}
		return strconv.Itoa(fd)
	}
	if k, _ := fmt.Sscanf(order, "set and clear %d", &n); k == 1 {
		for range n {
			s.Event.Set()
			s.Event.Set()
			s.Event.Clear()
			s.Event.Clear()
		}
		return "ok"
	}
	if k, _ := fmt.Sscanf(order, "answer %d", &n); k == 1 {
		for range n {
			s.Event.Wait(ctx)
			s.Event.Clear()
			s.N++
			s.Back.Set()
		}
		return "ok"
	}
	if k, _ := fmt.Sscanf(order, "publish %d", &n); k == 1 {
		for i := int64(1); i <= n; i++ {
			s.Event.Set()
			for line := range s.Lines {
				s.Lines[line][0] = i
			}
			s.N = i
			s.Event.Set()
			for s.Seen.Load() != i {
				runtime.Gosched()
			}
		}
		return "ok"
	}
	return "unknown order " + order
}))

// Python: _TestEvent.test_event — differs: Wait takes a context for its time-out
func TestEvent(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	e := &s.Event
	require.False(t, e.IsSet())
	require.False(t, e.Wait(ended()))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.False(t, e.Wait(ctx))
	e.Set()
	e.Set()
	require.True(t, e.IsSet())
	require.True(t, e.Wait(ended()))
	require.True(t, e.Wait(t.Context()))
	e.Clear()
	e.Clear()
	require.False(t, e.IsSet())
	require.False(t, e.Wait(ended()))

	other := eventPlayer.Start(t, []*os.File{file})
	other.Tell(t, "set")
	require.True(t, e.Wait(t.Context()))
	other.Expect(t, "ok")
	ask(t, other, "is set", "true")
	ask(t, other, "clear", "ok")
	require.False(t, e.IsSet())
}

// Set and cleared before anybody can look, by hand for that: all who waited have been
// let through, those who slept as well as those who stood behind them at the gate.
func TestEventSetAndClearedFast(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	players := make([]*proctest.Proc, 3)
	for i := range players {
		players[i] = eventPlayer.Start(t, []*os.File{file})
		players[i].Tell(t, "wait")
		awaitTrueSleeper(t, players[i].Pid())
	}
	const goroutines = 50
	outcomes := make(chan bool)
	for range goroutines {
		go func() { outcomes <- s.Event.Wait(context.Background()) }()
	}
	awaitAtGate(goroutines - 1)
	awaitTrueSleeper(t, os.Getpid())
	word := eventWord(&s.Event)
	word.Store(word.Load()&^3 + 1<<2)
	futex.Wake(word, futex.All)
	for range goroutines {
		require.True(t, await(t, "a goroutine", outcomes))
	}
	for _, p := range players {
		p.Expect(t, "true")
	}
	require.False(t, s.Event.IsSet())
}

// awaitAtGate returns when n goroutines of this process wait at a gate.
func awaitAtGate(n int) {
	stacks := make([]byte, 1<<20)
	for bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("sync.enterRound(")) < n {
		runtime.Gosched()
	}
}

// An event can be one of many things that are waited for. Who sleeps learns that it was
// set; of one that is clear again nothing is known.
func TestEventAwait(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	either := []awaitlib.Source{&s.Event, &s.Back}
	p := eventPlayer.Start(t, []*os.File{file})
	type outcome struct {
		ready []int
		err   error
	}
	outcomes := make(chan outcome)
	for range 3 {
		go func() {
			ready, err := awaitlib.Any(t.Context(), either)
			outcomes <- outcome{ready, err}
		}()
		awaitTrueSleeper(t, os.Getpid())
		do(t, p, "set")
		require.Equal(t, outcome{[]int{0}, nil}, await(t, "who waits for either", outcomes))
		do(t, p, "clear")
	}
	s.Event.Set()
	s.Event.Clear()
	_, err := awaitlib.Any(ended(), either)
	require.ErrorIs(t, err, context.Canceled)
	s.Back.Set()
	ready, err := awaitlib.Any(ended(), either)
	require.NoError(t, err)
	require.Equal(t, []int{1}, ready)
}

// Who waited when the event was set goes on, however slow it is to come to the
// gate: not even another goroutine of its process that sleeps already, until the
// event is set once more, holds it up.
func TestEventSlowAtTheGate(t *testing.T) {
	s, _ := stage[eventScene](t)
	wait := func(ctx context.Context) <-chan bool {
		outcome := make(chan bool)
		go func() { outcome <- s.Event.Wait(ctx) }()
		return outcome
	}
	slow := newHesitant(t)
	first := wait(slow)
	await(t, "the gate", slow.here)
	s.Event.Set()
	s.Event.Clear()
	next := wait(t.Context())
	awaitTrueSleeper(t, os.Getpid())
	close(slow.goOn)
	require.True(t, await(t, "who was slow", first))
	s.Event.Set()
	require.True(t, await(t, "the next one", next))
}

// "Event waiter killed, then set()" hangs in CPython: set waits for an answer of
// the dead. Here it asks nobody, and the living waiters go on.
func TestEventWaiterKilledThenSet(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	players := make([]*proctest.Proc, 3)
	for i := range players {
		players[i] = eventPlayer.Start(t, []*os.File{file})
		players[i].Tell(t, "wait")
		awaitTrueSleeper(t, players[i].Pid())
	}
	players[0].Kill(t)
	s.Event.Set()
	players[1].Expect(t, "true")
	players[2].Expect(t, "true")
	require.True(t, s.Event.Wait(t.Context()))
}

// A stopped waiter holds nobody up, and sees afterwards what it has missed.
func TestEventWaiterStopped(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	p := eventPlayer.Start(t, []*os.File{file})
	p.Tell(t, "wait")
	awaitTrueSleeper(t, p.Pid())
	p.Stop(t)
	s.Event.Set()
	s.Event.Clear()
	p.Cont(t)
	p.Expect(t, "true")
}

func TestEventCancelled(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	p := eventPlayer.Start(t, []*os.File{file})
	p.Tell(t, "wait")
	awaitTrueSleeper(t, p.Pid())
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := make(chan bool)
	for range 10 {
		go func() { outcomes <- s.Event.Wait(ctx) }()
	}
	awaitAtGate(9)
	cancel()
	for range 10 {
		require.False(t, await(t, "a goroutine", outcomes))
	}
	p.Tell(t, "cancel")
	p.Expect(t, "false")
}

// Two processes go hand in hand: a wake that is lost ends the dance.
func TestEventPingPong(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	const rounds = 2000
	p := eventPlayer.Start(t, []*os.File{file})
	p.Tell(t, fmt.Sprintf("answer %d", rounds))
	for i := range int64(rounds) {
		require.Equal(t, i, s.N)
		s.Event.Set()
		require.True(t, s.Back.Wait(t.Context()))
		s.Back.Clear()
	}
	p.Expect(t, "ok")
}

// Who sets an event that is set already has published as well: whoever clears it
// sees that, or is let through once more.
func TestEventSetOfSetEventPublishes(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	const rounds = 5000
	p := eventPlayer.Start(t, []*os.File{file})
	p.Tell(t, fmt.Sprintf("publish %d", rounds))
	for i := int64(1); i <= rounds; i++ {
		for {
			for range 100_000 { // Wait pauses between two looks
				if s.Event.IsSet() {
					break
				}
			}
			require.True(t, s.Event.Wait(t.Context()))
			s.Event.Clear()
			if s.N == i {
				break
			}
		}
		for line := range s.Lines {
			s.Lines[line][0]++
		}
		s.Seen.Store(i)
	}
	p.Expect(t, "ok")
}

// Setting and clearing asks the kernel for nothing, whatever happened before, and
// a set event is not waited for.
func TestEventAsksNothing(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[eventScene](t)
	p := eventPlayer.Start(t, []*os.File{file})
	p.Tell(t, "report calls")
	fd, err := strconv.Atoi(p.Line(t))
	require.NoError(t, err)
	c := countCalls(t, p, fd)
	do(t, p, "set and clear 1000")
	require.Zero(t, c.waits.Load()+c.wakes.Load())

	outcomes := make(chan bool)
	go func() { outcomes <- s.Event.Wait(context.Background()) }()
	awaitTrueSleeper(t, os.Getpid())
	do(t, p, "set")
	require.True(t, await(t, "the waiter", outcomes))
	do(t, p, "clear", "set and clear 1000", "set")
	ask(t, p, "wait", "true")
	require.Zero(t, c.waits.Load())
	require.EqualValues(t, 1, c.wakes.Load(), "the one of the sleeper")
}

// Many waiters of one process cost no threads.
func TestEventWaitersCostNoThreads(t *testing.T) {
	s, _ := stage[eventScene](t)
	before := threads(t)
	var arrived, served sync.WaitGroup
	for range 10_000 {
		arrived.Add(1)
		served.Go(func() {
			arrived.Done()
			s.Event.Wait(context.Background())
		})
	}
	arrived.Wait()
	awaitTrueSleeper(t, os.Getpid())
	require.LessOrEqual(t, threads(t), before+4)
	s.Event.Set()
	served.Wait()
}

// The race detector knows what an event orders: by Wait, IsSet and Clear.
func TestEventNoFalseRace(t *testing.T) {
	s, _ := stage[eventScene](t)
	data, written := 0, make(chan bool, 1)
	learn := []func(){
		func() { s.Event.Wait(context.Background()) },
		func() {
			for !s.Event.IsSet() {
				runtime.Gosched()
			}
		},
		func() {
			for len(written) == 0 { // a length orders nothing
				runtime.Gosched()
			}
			s.Event.Clear()
		},
	}
	for _, f := range learn {
		go func() {
			data++
			s.Event.Set()
			written <- true
		}()
		f()
		data++
		s.Event.Clear()
		<-written
	}
	require.Equal(t, 6, data)
}

func BenchmarkEventSetClear(b *testing.B) {
	var e psync.Event
	for b.Loop() {
		e.Set()
		e.Clear()
	}
}

func BenchmarkEventIsSet(b *testing.B) {
	var e psync.Event
	for b.Loop() {
		if e.IsSet() {
			b.Fatal("set")
		}
	}
}
