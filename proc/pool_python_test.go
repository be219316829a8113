package proc_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

var multiply = proc.Register("multiply", func(_ context.Context, in [2]int) (int, error) { return in[0] * in[1], nil })

// Python: _TestPool.test_apply — differs: Submit and Get
// Python: _TestPool.test_async
// Python: ExecutorTest.test_submit
func TestPythonApply(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for x := range 10 {
		got, err := square.Submit(t.Context(), p, x).Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, x*x, got)
	}
}

// Python: _TestPool.test_map
// Python: _TestPool.test_map_chunksize
// Python: _TestPool.test_starmap — differs: a function has one argument, of any type
// Python: ExecutorTest.test_map
// Python: ProcessPoolExecutorTest.test_map_chunksize
func TestPythonMap(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for n, chunks := range map[int][]int{10: {0}, 40: {6, 40, 50}, 100: {0, 20}} {
		for _, chunk := range chunks {
			out, err := square.Map(t.Context(), p, numbers(n), &proc.MapOptions{Chunk: chunk})
			require.NoError(t, err)
			require.Equal(t, squares(n), out)
			pairs := make([][2]int, n)
			for i := range pairs {
				pairs[i] = [2]int{i, i}
			}
			out, err = multiply.Map(t.Context(), p, pairs, &proc.MapOptions{Chunk: chunk})
			require.NoError(t, err)
			require.Equal(t, squares(n), out)
		}
	}
	_, err := square.Map(t.Context(), p, numbers(40), &proc.MapOptions{Chunk: -1})
	require.ErrorContains(t, err, "out of range")
}

// Python: _TestPool.test_map_async — differs: a goroutine makes a call asynchronous
// Python: _TestPool.test_starmap_async — differs: a goroutine makes a call asynchronous
// Python: _TestPool.test_map_async_callbacks — differs: the goroutine that made the call goes on with its result or error
// Python: _TestPoolWorkerErrors.test_async_error_callback — differs: the goroutine that made the call goes on with its error
func TestPythonMapAsync(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	type outcome struct {
		out []int
		err error
	}
	done := make(chan outcome)
	for _, in := range [][]int{{0, 1, 3}, {1, 2, 3}} {
		go func() {
			out, err := failThirds.Map(t.Context(), p, in, nil)
			done <- outcome{out, err}
		}()
		got := <-done
		if in[1] == 1 {
			require.Equal(t, outcome{out: []int{0, 1, 9}}, got)
			continue
		}
		require.ErrorAs(t, got.err, new(*lostError))
		require.Nil(t, got.out)
	}
}

// Python: _TestPool.test_async_timeout — differs: the context of Get ends the wait, and that of Submit the task as well
func TestPythonAsyncTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	f := puppet.Submit(ctx, p, cue{x.addr, 1})
	player := x.enter(t)
	player.say(t, "obey")
	over, stop := context.WithTimeout(t.Context(), 1)
	defer stop()
	_, err := f.Get(over)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	cancel()
	_, err = f.Get(t.Context())
	require.ErrorIs(t, err, context.Canceled)
}

// Python: _TestPool.test_imap
// Python: _TestPool.test_imap_unordered
func TestPythonImap(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, o := range []*proc.MapOptions{nil, {Chunk: 1}, {Chunk: 100}, {Chunk: 53}} {
		var ordered, unordered []int
		for got, err := range square.Stream(t.Context(), p, slices.Values(numbers(1000)), o) {
			require.NoError(t, err)
			ordered = append(ordered, got)
		}
		require.Equal(t, squares(1000), ordered)
		for r := range square.MapUnordered(t.Context(), p, slices.Values(numbers(1000)), o) {
			require.NoError(t, r.Err)
			unordered = append(unordered, r.Value)
		}
		slices.Sort(unordered)
		require.Equal(t, ordered, unordered)
	}
}

// breaksOff is an input that cannot go on after some values.
func breaksOff(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
		panic("the input breaks off")
	}
}

// Python: _TestPool.test_map_handle_iterable_exception — differs: Map takes a slice; a sequence's panic comes out of the loop
// Python: _TestPool.test_imap_handle_iterable_exception — differs: a sequence's panic comes out of the loop
// Python: _TestPool.test_imap_unordered_handle_iterable_exception — differs: a sequence's panic comes out of the loop
func TestPythonInputBreaksOff(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, n := range []int{0, 1, 3, 20} {
		for _, o := range []*proc.MapOptions{nil, {Chunk: 1}, {Chunk: 2}} {
			seen := 0
			panicsWith(t, "the input breaks off", func() {
				for got, err := range square.Stream(t.Context(), p, breaksOff(n), o) {
					require.NoError(t, err)
					require.Equal(t, seen*seen, got)
					seen++
				}
			})
			require.LessOrEqual(t, seen, n)
			panicsWith(t, "the input breaks off", func() {
				for r := range square.MapUnordered(t.Context(), p, breaksOff(n), o) {
					require.NoError(t, r.Err)
				}
			})
		}
	}
	works(t, p)
}

// Python: _TestPool.test_make_pool
// Python: ExecutorTest.test_max_workers_negative — differs: no number of workers means one for each processor
func TestPythonMakePool(t *testing.T) {
	proctest.NoLeaks(t)
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: -1})
	require.ErrorContains(t, err, "-1 workers")
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	awaitChildren(t, 3)
	require.NoError(t, p.Close())
	require.Empty(t, proc.Children())
}

// Python: _TestPool.test_terminate
func TestPythonTerminate(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	done := make(chan error)
	go func() {
		_, err := puppet.Map(t.Context(), p, x.cues(10_000), &proc.MapOptions{Chunk: 1})
		done <- err
	}()
	for range 2 {
		x.enter(t).say(t, "obey")
	}
	require.NoError(t, p.Terminate())
	require.ErrorIs(t, <-done, proc.ErrPoolTerminated)
	x.nobody(t)
}

// Python: _TestPool.test_empty_iterable
func TestPythonEmptyInput(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	out, err := square.Map(t.Context(), p, nil, nil)
	require.NoError(t, err)
	require.Empty(t, out)
	for _, err := range square.Stream(t.Context(), p, slices.Values[[]int](nil), nil) {
		require.Fail(t, "a result of nothing", err)
	}
	for range square.MapUnordered(t.Context(), p, slices.Values[[]int](nil), nil) {
		require.Fail(t, "a result of nothing")
	}
	require.NoError(t, p.Close())
}

// Python: _TestPool.test_context — differs: there is no block; the caller defers Terminate or Close
// Python: _TestPool.test_enter — differs: there is no block; an ended pool refuses work
// Python: ProcessPoolShutdownTest.test_context_manager_shutdown — differs: there is no block; the caller defers Terminate or Close
// Python: ExecutorShutdownTest.test_run_after_shutdown
func TestPythonDefer(t *testing.T) {
	proctest.NoLeaks(t)
	var p *proc.Pool
	func() {
		p = newPool(t, nil)
		defer func() { require.NoError(t, p.Terminate()) }()
		works(t, p)
	}()
	require.Empty(t, proc.Children())
	_, err := square.Map(t.Context(), p, numbers(3), nil)
	require.ErrorIs(t, err, proc.ErrPoolTerminated)
}

// Python: _TestPool.test_traceback — differs: an error tells its text and type; the stack comes with panics
// Python: ProcessPoolExecutorTest.test_traceback — differs: an error tells its text and type; the stack comes with panics
func TestPythonTraceback(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	_, err := failWith.Submit(t.Context(), p, "own").Get(t.Context())
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Equal(t, "*proc_test.ownError", remote.Type)
	_, err = panicWith.Submit(t.Context(), p, "heads up").Get(t.Context())
	var panicked *proc.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Contains(t, panicked.Stack, "remote_test.go:")
}

// Python: _TestPool.test_map_no_failfast — differs: KeepGoing is how a map does not fail fast
func TestPythonNoFailFast(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	out, err := failThirds.Map(t.Context(), p, []int{2, 3, 4, 6}, &proc.MapOptions{Chunk: 1, KeepGoing: true})
	var failed proc.TaskErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, 1)
	require.Equal(t, []int{0, 9, 16, 36}, out)
}

// Python: _TestPoolWorkerErrors.test_unpickleable_result
func TestPythonUnpickleableResult(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for range 20 {
		_, err := bite.Submit(t.Context(), p, struct{}{}).Get(t.Context())
		require.ErrorContains(t, err, "encode the result of bite: ")
	}
	for _, w := range p.Stats().Workers {
		require.LessOrEqual(t, w.Processes, 1, "none was replaced; the last one may not be up yet")
	}
}

var ownPid = proc.Register("own pid", func(context.Context, int) (int, error) { return os.Getpid(), nil })

// Python: _TestPoolWorkerLifetime.test_pool_worker_lifetime
// Python: ProcessPoolExecutorTest.test_max_tasks_per_child
func TestPythonWorkerLifetime(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, MaxTasks: 3})
	var pids []int
	for range 7 {
		pid, err := ownPid.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	for i, pid := range pids {
		require.Equal(t, pids[i/3*3], pid)
	}
	require.NotEqual(t, pids[0], pids[3])
	require.NotEqual(t, pids[3], pids[6])
	p = newPool(t, &proc.PoolOptions{Workers: 3, MaxTasks: 10})
	out, err := square.Map(t.Context(), p, numbers(100), nil)
	require.NoError(t, err)
	require.Equal(t, squares(100), out)
}

// Python: _TestPoolWorkerLifetime.test_pool_worker_lifetime_early_close
// Python: ProcessPoolExecutorTest.test_max_tasks_early_shutdown
// Python: ExecutorShutdownTest.test_hang_issue12364
// Python: ExecutorTest.test_shutdown_race_issue12456
func TestPythonEarlyClose(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3, MaxTasks: 1})
	var futures []*proc.Future[int]
	for i := range 12 {
		futures = append(futures, square.Submit(t.Context(), p, i))
	}
	require.NoError(t, p.Close())
	for i, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i*i, got)
	}
}

// Python: _TestPoolWorkerLifetime.test_pool_maxtasksperchild_invalid — differs: 0 means no limit
func TestPythonMaxTasksInvalid(t *testing.T) {
	proctest.NoLeaks(t)
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{MaxTasks: -1})
	require.ErrorContains(t, err, "MaxTasks is -1")
}

// Python: _TestPoolWorkerLifetime.test_worker_finalization_via_atexit_handler_of_multiprocessing — differs: Exit runs at the end of a worker that is let go, not of one that is terminated
// Python: TestInitializers.test_pool_initializer
// Python: InitializerMixin.test_initializer
func TestPythonInitialiser(t *testing.T) {
	proctest.NoLeaks(t)
	counts := newArray(t, 0, 0, 0)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Init: hold.With(counts), Exit: letGo.With(counts)})
	require.EqualValues(t, 1, counts.At(0))
	_, err := useHeld.Submit(t.Context(), p, 0).Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.Equal(t, []int32{1, 1, 1}, counts.Copy())
	_, err = proc.NewPool(t.Context(), &proc.PoolOptions{Init: failInit.With(initInput{counts, "error"})})
	require.Error(t, err)
}

// Python: TestPoolNotLeakOnFailure.test_release_unused_processes
func TestPythonReleaseUnusedProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	a := newArray(t, 1)
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 6, Init: failLater.With(a)})
	var init *proc.InitError
	require.ErrorAs(t, err, &init)
	require.Empty(t, proc.Children())
}

// Python: MiscTestCase.test_large_pool — differs: its workers are 60, as many as two processors start in a test's time
func TestPythonLargePool(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 60})
	awaitChildren(t, 60)
	works(t, p)
	require.NoError(t, p.Close())
}

// Python: TestStdinBadfiledescriptor.test_pool_in_process
func TestPythonPoolInProcess(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, []int{1, 4, 9}, result(t, poolInProcess, []int{1, 2, 3}))
}

var poolInProcess = proc.Register("pool in process", func(ctx context.Context, in []int) ([]int, error) {
	p, err := proc.NewPool(ctx, nil)
	if err != nil {
		return nil, err
	}
	out, err := square.Map(ctx, p, in, nil)
	return out, errors.Join(err, p.Close())
})
