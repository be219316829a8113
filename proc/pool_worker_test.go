package proc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// held is a worker's own state.
var held struct {
	array *shm.Array[int32]
	tasks int
}

// hold is an initialiser: it counts in element 0, and keeps the array.
var hold = proc.RegisterTask("hold", func(_ context.Context, a *shm.Array[int32]) error {
	held.array = a
	shm.Add(a, 0, 1)
	return nil
})

// letGo is its counterpart: it counts in element 1.
var letGo = proc.RegisterTask("let go", func(_ context.Context, a *shm.Array[int32]) error {
	shm.Add(a, 1, 1)
	return nil
})

// useHeld counts in element 2, and returns how many tasks the worker has done.
var useHeld = proc.Register("use held", func(context.Context, int) (int, error) {
	held.tasks++
	shm.Add(held.array, 2, 1)
	return held.tasks, nil
})

func TestInitAndExit(t *testing.T) {
	proctest.NoLeaks(t)
	counts := newArray(t, 0, 0, 0)
	p := newPool(t, &proc.PoolOptions{Workers: 3, Init: hold.With(counts), Exit: letGo.With(counts)})
	_, err := useHeld.Map(t.Context(), p, numbers(30), nil)
	require.NoError(t, err)
	awaitChildren(t, 3) // the inputs may not have needed them all
	require.NoError(t, p.Close())
	require.Equal(t, []int32{3, 3, 30}, counts.Copy())
}

// initWays are ways in which an initialiser can fail.
var failInit = proc.RegisterTask("fail init", func(_ context.Context, in struct {
	Runs *shm.Array[int32]
	How  string
}) error {
	shm.Add(in.Runs, 0, 1)
	switch in.How {
	case "error":
		return &lostError{Place: "start"}
	case "panic":
		panic("at the start")
	case "exit":
		os.Exit(9)
	}
	return nil
})

type initInput = struct {
	Runs *shm.Array[int32]
	How  string
}

// In CPython, it is run again and again, a hundred times a second, and what was
// submitted waits for ever.
func TestInitialiserFails(t *testing.T) {
	for _, how := range []string{"error", "panic", "exit"} {
		t.Run(how, func(t *testing.T) {
			proctest.NoLeaks(t)
			runs := newArray(t, 0)
			_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2, Init: failInit.With(initInput{runs, how})})
			var init *proc.InitError
			require.ErrorAs(t, err, &init)
			require.Equal(t, "fail init", init.Func)
			require.ErrorContains(t, err, "proc: the pool's initialiser fail init has failed: ")
			switch how {
			case "error":
				var lost *lostError
				require.ErrorAs(t, err, &lost)
			case "panic":
				var panicked *proc.PanicError
				require.ErrorAs(t, err, &panicked)
				require.Equal(t, "at the start", panicked.Value)
			case "exit":
				require.Equal(t, 9, died(t, err).Code)
			}
			require.LessOrEqual(t, runs.At(0), int32(6), "no storm of new workers")
			require.Empty(t, proc.Children())
		})
	}
}

// failLater is an initialiser that fails once the array says so.
var failLater = proc.RegisterTask("fail later", func(_ context.Context, a *shm.Array[int32]) error {
	if a.At(0) != 0 {
		return errors.New("too late")
	}
	return nil
})

// Then everything that waits, and everything later, gets that error.
func TestInitialiserFailsLater(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	a := newArray(t, 0)
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Init: failLater.With(a)})
	require.NoError(t, err)
	first, second := puppet.Submit(t.Context(), p, cue{x.addr, 1}), puppet.Submit(t.Context(), p, cue{x.addr, 2})
	player := x.enter(t)
	a.Set(0, 1)
	player.say(t, "exit")
	_, err = first.Get(t.Context())
	require.Equal(t, 7, died(t, err).Code)
	var init *proc.InitError
	_, err = second.Get(t.Context())
	require.ErrorAs(t, err, &init)
	_, err = square.Map(t.Context(), p, []int{1}, nil)
	require.ErrorAs(t, err, &init)
	require.ErrorContains(t, err, "too late")
	require.ErrorAs(t, p.Close(), &init)
}

func TestMaxTasks(t *testing.T) {
	proctest.NoLeaks(t)
	for _, chunk := range []int{1, 10, 4} {
		counts := newArray(t, 0, 0, 0)
		p := newPool(t, &proc.PoolOptions{Workers: 1, MaxTasks: 3, Init: hold.With(counts), Exit: letGo.With(counts)})
		out, err := useHeld.Map(t.Context(), p, numbers(10), &proc.MapOptions{Chunk: chunk})
		require.NoError(t, err)
		slices.Sort(out) // those that are taken back come after others
		require.Equal(t, []int{1, 1, 1, 1, 2, 2, 2, 3, 3, 3}, out)
		require.NoError(t, p.Close())
		require.Equal(t, []int32{4, 4, 10}, counts.Copy())
		s := p.Stats().Workers[0]
		require.Equal(t, 4, s.Processes)
		require.Zero(t, s.Deaths)
	}
}

// Many more tasks than workers, which all are replaced.
func TestMaxTasksWithFutures(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 2, MaxTasks: 1})
	var futures []*proc.Future[int]
	for i := range 20 {
		futures = append(futures, square.Submit(t.Context(), p, i))
	}
	for i, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i*i, got)
	}
}

var grab = proc.Register("grab", func(_ context.Context, size int) (int, error) {
	kept = append(kept, bytes.Repeat([]byte{1}, size))
	return os.Getpid(), nil
})

var kept [][]byte

func TestMaxResident(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, MaxResident: 100 << 20})
	pids, err := grab.Map(t.Context(), p, []int{1 << 10, 200 << 20, 1 << 10}, &proc.MapOptions{Chunk: 3})
	require.NoError(t, err)
	require.Equal(t, pids[0], pids[1])
	require.NotEqual(t, pids[1], pids[2], "it has grown too large")
	require.Zero(t, p.Stats().Workers[0].Deaths)
}

// awaitChildren waits until this process has so many children.
func awaitChildren(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(proc.Children()) == n }, patience, time.Millisecond)
}

func TestIdleTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	for least := range 2 {
		p := newPool(t, &proc.PoolOptions{Workers: 3, IdleTimeout: 10 * time.Millisecond, MinWorkers: least})
		for range 3 {
			works(t, p)
			awaitChildren(t, least)
		}
		for _, w := range p.Stats().Workers {
			require.Zero(t, w.Deaths)
		}
		require.NoError(t, p.Close())
	}
}

// The workers that were let go are there again for new work, all of them.
func TestIdleWorkersComeBack(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	newPool(t, &proc.PoolOptions{IdleTimeout: time.Nanosecond}) // it starts all the same
	p := newPool(t, &proc.PoolOptions{Workers: 3, IdleTimeout: time.Millisecond})
	for range 3 {
		awaitChildren(t, 0)
		var futures []*proc.Future[int]
		for _, c := range x.cues(3) {
			futures = append(futures, puppet.Submit(t.Context(), p, c))
		}
		players := []player{x.enter(t), x.enter(t), x.enter(t)}
		for _, one := range players {
			one.say(t, "return")
		}
		for i, f := range futures {
			got, err := f.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, i*i, got)
		}
	}
}

func TestResize(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	done := make(chan error)
	go func() {
		_, err := puppet.Map(t.Context(), p, x.cues(9), &proc.MapOptions{Chunk: 1})
		done <- err
	}()
	one := x.enter(t)
	require.NoError(t, p.Resize(3)) // while it works
	require.Equal(t, 3, p.Workers())
	two, three := x.enter(t), x.enter(t)
	require.NoError(t, p.Resize(2))
	for _, player := range []player{one, two, three} {
		player.say(t, "return")
	}
	four, five := x.enter(t), x.enter(t)
	awaitChildren(t, 2)
	require.NoError(t, p.Resize(1))
	require.NoError(t, p.Resize(2)) // the one that is to leave may be replaced, or not
	four.say(t, "return")
	five.say(t, "return")
	for range 2 {
		a, b := x.enter(t), x.enter(t)
		a.say(t, "return")
		b.say(t, "return")
	}
	require.NoError(t, <-done)
	works(t, p)
	for _, w := range p.Stats().Workers {
		require.Zero(t, w.Deaths)
	}
	require.NoError(t, p.Close())
}

func TestResizeUpAndDownWhileWorking(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	var resizer sync.WaitGroup
	resizer.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := p.Resize(1 + n%4); err != nil {
				t.Error(err)
			}
			_, _ = square.Submit(ctx, p, n).Get(ctx) // the pace
		}
	})
	for range 3 {
		out, err := square.Map(t.Context(), p, numbers(2000), &proc.MapOptions{Chunk: 3})
		require.NoError(t, err)
		require.Equal(t, squares(2000), out)
	}
	stop()
	resizer.Wait()
	for _, w := range p.Stats().Workers {
		require.Zero(t, w.Deaths)
	}
}

var whichWorker = proc.Register("which worker", func(ctx context.Context, c cue) (int, error) {
	line, err := call(c.Addr)
	if err == nil {
		_, err = line.converse(itoa(os.Getpid()))
	}
	index, ok := proc.WorkerIndex()
	if !ok {
		return -1, err
	}
	return index, err
})

func TestWorkerIndex(t *testing.T) {
	proctest.NoLeaks(t)
	_, ok := proc.WorkerIndex()
	require.False(t, ok, "this is no worker")
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	for round := range 2 {
		var futures []*proc.Future[int]
		for _, c := range x.cues(3) {
			futures = append(futures, whichWorker.Submit(t.Context(), p, c))
		}
		lines := []*phone{x.answer(t), x.answer(t), x.answer(t)} // each has one
		for _, line := range lines {
			line.say(t, "go on")
		}
		seen := make(map[int]bool)
		for _, f := range futures {
			index, err := f.Get(t.Context())
			require.NoError(t, err)
			seen[index] = true
		}
		require.Equal(t, map[int]bool{0: true, 1: true, 2: true}, seen)
		if round == 0 { // a new process has the index of the one before
			for _, c := range proc.Children() {
				require.NoError(t, unix.Kill(c.Pid(), unix.SIGKILL))
			}
		}
	}
	index := result(t, whichWorkerAmI, struct{}{})
	require.Equal(t, -1, index, "a process of Start is no worker")
}

var whichWorkerAmI = proc.Register("which worker am I", func(context.Context, struct{}) (int, error) {
	if index, ok := proc.WorkerIndex(); ok {
		return index, nil
	}
	return -1, nil
})

// nest makes a pool in a worker, and one in a worker of that, and so on. It
// returns how deep it came.
var nest = proc.Register("nest", func(ctx context.Context, in struct{ Level, Most int }) (int, error) {
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Depth: in.Most})
	if errors.Is(err, proc.ErrTooDeep) {
		return in.Level, nil
	}
	if err != nil {
		return 0, err
	}
	in.Level++
	level, err := nestAgain(ctx, p, in)
	return level, errors.Join(err, p.Close())
})

// nestAgain stands for a task that refers to itself.
var nestAgain func(ctx context.Context, p *proc.Pool, in struct{ Level, Most int }) (int, error)

func init() {
	nestAgain = func(ctx context.Context, p *proc.Pool, in struct{ Level, Most int }) (int, error) {
		return nest.Submit(ctx, p, in).Get(ctx)
	}
}

func TestNestedPools(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	for most, want := range map[int]int{0: 4, 1: 1, 2: 2} {
		level, err := nestAgain(t.Context(), p, struct{ Level, Most int }{1, most})
		require.NoError(t, err)
		require.Equal(t, want, level)
	}
}

// With the worker, its own pools end.
func TestNestedPoolOfKilledWorker(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	f := ownPool.Submit(t.Context(), p, x.addr)
	inner := x.enter(t)
	w := watch(t, inner.pid)
	require.NoError(t, unix.Kill(proc.Children()[0].Pid(), unix.SIGKILL))
	_, err := f.Get(t.Context())
	require.Equal(t, -9, died(t, err).Code)
	w.allEnd(t)
}

// ownPool has a puppet in a pool of its own.
var ownPool = proc.Register("own pool", func(ctx context.Context, addr string) (int, error) {
	p, err := proc.NewPool(ctx, nil)
	if err != nil {
		return 0, err
	}
	n, err := puppet.Submit(ctx, p, cue{addr, 3}).Get(ctx)
	return n, errors.Join(err, p.Close())
})

func TestPoolLogger(t *testing.T) {
	proctest.NoLeaks(t)
	var b bytes.Buffer
	p := newPool(t, &proc.PoolOptions{Workers: 1, Logger: slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, err := leave.Submit(t.Context(), p, "exit 5").Get(t.Context())
	e := died(t, err)
	works(t, p)
	require.NoError(t, p.Close())
	var got []string
	for _, line := range bytes.Split(bytes.TrimSpace(b.Bytes()), []byte("\n")) {
		var entry struct {
			Level, Msg        string
			Worker, Pid, Code int
		}
		require.NoError(t, json.Unmarshal(line, &entry))
		require.Zero(t, entry.Worker)
		require.NotZero(t, entry.Pid)
		got = append(got, fmt.Sprint(entry.Level, " ", entry.Msg, " ", entry.Code, " ", entry.Pid == e.Pid))
	}
	require.Equal(t, []string{"DEBUG worker started 0 true", "WARN worker died 5 true", "DEBUG worker started 0 false", "DEBUG worker ended 0 false"}, got)
}
