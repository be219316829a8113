package sync_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A onceScene is the shared memory of a test of Once. The functions that it runs
// begin, wait for leave to end, and end.
type onceScene struct {
	Once       psync.Once
	Begun, Ran atomic.Int64
	Leave      atomic.Bool
	N          int64 // a plain add by each function
}

func (s *onceScene) run() {
	s.Begun.Add(1)
	for !s.Leave.Load() {
		runtime.Gosched()
	}
	s.N++
	s.Ran.Add(1)
}

// awaitBegin returns when n functions have begun.
func (s *onceScene) awaitBegin(n int64) {
	for s.Begun.Load() != n {
		runtime.Gosched()
	}
}

var errRun = errors.New("the function failed")

var oncePlayer = proctest.Register("once", play(func(ctx context.Context, s *onceScene, order string) string {
	switch order {
	case "do":
		s.Once.Do(s.run)
		return "ok"
	case "do and learn":
		told := "ok"
		if err := s.Once.DoContext(ctx, func(died *psync.OwnerDiedError) error {
			if died != nil {
				told = describe(died)
			}
			s.run()
			return nil
		}); err != nil {
			return err.Error()
		}
		return told
	case "fail":
		return describe(s.Once.DoContext(ctx, func(*psync.OwnerDiedError) error { return errRun }))
	case "panic":
		s.Once.Do(func() { panic("of the function") })
		return "ok"
	}
	return "unknown order " + order
}))

// learn runs DoContext and returns what its function was told: "done" if it was
// not run.
func (s *onceScene) learn(t *testing.T) string {
	told := "done"
	require.NoError(t, s.Once.DoContext(t.Context(), func(died *psync.OwnerDiedError) error {
		told = "first"
		if died != nil {
			told = describe(died)
		}
		s.run()
		return nil
	}))
	return told
}

func TestOnce(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	s.Leave.Store(true)
	s.Once.Do(s.run)
	s.Once.Do(s.run)
	other := oncePlayer.Start(t, []*os.File{file})
	do(t, other, "do", "do and learn", "fail", "panic")
	require.Equal(t, "done", s.learn(t))
	require.EqualValues(t, 1, s.Ran.Load())
}

// Processes and goroutines come all at once. None is let through before the
// function has returned, and it runs once.
func TestOnceAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	players := make([]*proctest.Proc, 4)
	for i := range players {
		players[i] = oncePlayer.Start(t, []*os.File{file})
		players[i].Tell(t, "do")
	}
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			s.Once.Do(s.run)
			if n := s.N; n != 1 {
				t.Errorf("let through after %d runs", n)
			}
		})
	}
	awaitAtGate(98) // one runs the function, one sleeps
	require.EqualValues(t, 1, s.Begun.Load())
	s.Leave.Store(true)
	group.Wait()
	for _, p := range players {
		p.Expect(t, "ok")
	}
	require.EqualValues(t, 1, s.Ran.Load())
}

// The runner is killed half-way: who waits learns of it at once, runs its own
// function, and is told.
func TestOnceRunnerKilled(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	victim, waiter := oncePlayer.Start(t, []*os.File{file}), oncePlayer.Start(t, []*os.File{file})
	victim.Tell(t, "do")
	s.awaitBegin(1)
	waiter.Tell(t, "do and learn")
	awaitTrueSleeper(t, waiter.Pid())
	victim.Kill(t)
	s.awaitBegin(2)
	s.Leave.Store(true)
	waiter.Expect(t, "died "+strconv.Itoa(victim.Pid()))
	require.Equal(t, "done", s.learn(t))
	require.EqualValues(t, 1, s.Ran.Load())
}

// Each after a death is told, until one has succeeded. Do runs its function as if
// nothing had happened.
func TestOnceToldUntilDone(t *testing.T) {
	proctest.NoLeaks(t)
	for _, last := range []string{"DoContext", "Do"} {
		s, file := stage[onceScene](t)
		victim := oncePlayer.Start(t, []*os.File{file})
		victim.Tell(t, "do")
		s.awaitBegin(1)
		victim.Kill(t)
		s.Leave.Store(true)
		for _, want := range []string{"died " + strconv.Itoa(victim.Pid()), "died 0", "died 0"} {
			require.ErrorIs(t, s.Once.DoContext(t.Context(), func(died *psync.OwnerDiedError) error {
				require.NotNil(t, died)
				require.Equal(t, want, describe(died))
				return errRun
			}), errRun)
		}
		if last == "Do" {
			s.Once.Do(s.run)
		} else {
			require.Equal(t, "died 0", s.learn(t))
		}
		require.Equal(t, "done", s.learn(t))
		require.EqualValues(t, 1, s.Ran.Load())
	}
}

// A function that panics, fails or ends its goroutine has not run.
func TestOnceUnfinished(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	s.Leave.Store(true)
	other := oncePlayer.Start(t, []*os.File{file})
	ask(t, other, "panic", "panic of the function")
	ask(t, other, "fail", errRun.Error())
	require.PanicsWithValue(t, "here", func() { s.Once.Do(func() { panic("here") }) })
	gone := make(chan bool)
	go func() {
		defer close(gone)
		s.Once.Do(runtime.Goexit)
	}()
	<-gone
	require.Equal(t, "first", s.learn(t), "nobody died")
	require.Equal(t, "done", s.learn(t))
}

// A runner that is stopped is alive: others wait, with their contexts.
func TestOnceRunnerStopped(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	runner, waiter := oncePlayer.Start(t, []*os.File{file}), oncePlayer.Start(t, []*os.File{file})
	runner.Tell(t, "do")
	s.awaitBegin(1)
	runner.Stop(t)
	waiter.Tell(t, "do and learn")
	awaitTrueSleeper(t, waiter.Pid())
	waiter.Tell(t, "cancel")
	waiter.Expect(t, context.Canceled.Error())
	require.ErrorIs(t, s.Once.DoContext(ended(), nil), context.Canceled)
	runner.Cont(t)
	s.Leave.Store(true)
	runner.Expect(t, "ok")
	require.NoError(t, s.Once.DoContext(ended(), nil), "it was done")
	require.EqualValues(t, 1, s.Begun.Load())
}

// With an ended context the function is run if nobody else runs one.
func TestOnceEndedContext(t *testing.T) {
	var o psync.Once
	ran := false
	require.NoError(t, o.DoContext(ended(), func(*psync.OwnerDiedError) error {
		ran = true
		return nil
	}))
	require.True(t, ran)
}

// Many who wait in one process cost no threads.
func TestOnceWaitersCostNoThreads(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[onceScene](t)
	runner := oncePlayer.Start(t, []*os.File{file})
	runner.Tell(t, "do")
	s.awaitBegin(1)
	before := threads(t)
	var arrived, served sync.WaitGroup
	for range 10_000 {
		arrived.Add(1)
		served.Go(func() {
			arrived.Done()
			s.Once.Do(s.run)
		})
	}
	arrived.Wait()
	awaitTrueSleeper(t, os.Getpid())
	require.LessOrEqual(t, threads(t), before+4)
	s.Leave.Store(true)
	served.Wait()
	require.EqualValues(t, 1, s.Ran.Load())
}

// The race detector knows that the function comes before every return of Do.
func TestOnceNoFalseRace(t *testing.T) {
	s, _ := stage[onceScene](t)
	data, out := 0, make(chan int)
	for range 8 {
		go func() {
			s.Once.Do(func() { data++ })
			out <- data
		}()
	}
	for range 8 {
		require.Equal(t, 1, <-out)
	}
}

// What done may say in damaged memory is 1, or "not yet".
func TestOnceDamaged(t *testing.T) {
	s, _ := stage[onceScene](t)
	s.Leave.Store(true)
	wordsOf(&s.Once)[1] = 7
	require.Equal(t, "first", s.learn(t))
	require.Equal(t, "done", s.learn(t))
}

func BenchmarkOnce(b *testing.B) {
	var o psync.Once
	n := 0
	for b.Loop() {
		o.Do(func() { n++ })
	}
}

func BenchmarkStdOnce(b *testing.B) {
	var o sync.Once
	n := 0
	for b.Loop() {
		o.Do(func() { n++ })
	}
}
