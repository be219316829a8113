package proc_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A trap does something bad on its way: to the worker, in the worker, or on the
// way back.
type trap struct{ Way string }

// spring does what is due at this point of the way.
func (v trap) spring(point string) error {
	switch v.Way {
	case point + ": error":
		return errors.New("trap: " + v.Way)
	case point + ": exit":
		os.Exit(1)
	case point + ": crash":
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	case point + ": panic":
		panic("trap: " + v.Way)
	}
	return nil
}

// The process where they run tells them apart.
func (v trap) point(verb string) string {
	if _, worker := proc.WorkerIndex(); worker {
		return verb + " there"
	}
	return verb + " here"
}

func (v trap) MarshalCBOR() ([]byte, error) {
	if err := v.spring(v.point("encode")); err != nil {
		return nil, err
	}
	return cbor.Marshal(v.Way)
}

func (v *trap) UnmarshalCBOR(b []byte) error {
	if err := cbor.Unmarshal(b, &v.Way); err != nil {
		return err
	}
	return v.spring(v.point("decode"))
}

var walk = proc.Register("walk into a trap", func(_ context.Context, v trap) (trap, error) { return v, v.spring("run") })

// Python: ExecutorDeadlockTest.test_error_at_task_pickle
// Python: ExecutorDeadlockTest.test_exit_at_task_unpickle
// Python: ExecutorDeadlockTest.test_error_at_task_unpickle — differs: it is the error of the task
// Python: ExecutorDeadlockTest.test_crash_at_task_unpickle
// Python: ExecutorDeadlockTest.test_crash_during_func_exec_on_worker
// Python: ExecutorDeadlockTest.test_exit_during_func_exec_on_worker — differs: os.Exit ends the process
// Python: ExecutorDeadlockTest.test_error_during_func_exec_on_worker
// Python: ExecutorDeadlockTest.test_crash_during_result_pickle_on_worker
// Python: ExecutorDeadlockTest.test_exit_during_result_pickle_on_worker — differs: os.Exit ends the process
// Python: ExecutorDeadlockTest.test_error_during_result_pickle_on_worker
// Python: ExecutorDeadlockTest.test_error_during_result_unpickle_in_result_handler — differs: it is the error of the task
func TestPythonDeadlocks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, tt := range []struct {
		way  string
		code int // of the worker's end; 1000: it lives
	}{
		{"encode here: error", 1000},
		{"decode there: exit", 1}, {"decode there: error", 1000}, {"decode there: crash", -9}, {"decode there: panic", 1000},
		{"run: crash", -9}, {"run: exit", 1}, {"run: error", 1000}, {"run: panic", 1000},
		{"encode there: crash", -9}, {"encode there: exit", 1}, {"encode there: error", 1000}, {"encode there: panic", 1000},
		{"decode here: error", 1000},
	} {
		t.Run(tt.way, func(t *testing.T) {
			_, err := walk.Submit(t.Context(), p, trap{tt.way}).Get(t.Context())
			if tt.code == 1000 {
				require.ErrorContains(t, err, "trap: "+tt.way)
				require.NotErrorAs(t, err, new(*proc.WorkerDiedError))
			} else {
				require.Equal(t, tt.code, died(t, err).Code)
			}
			out, err := walk.Map(t.Context(), p, []trap{{"a"}, {tt.way}, {"b"}}, &proc.MapOptions{Chunk: 3, KeepGoing: true})
			var failed proc.TaskErrors
			require.ErrorAs(t, err, &failed)
			require.Len(t, failed, 1)
			require.Equal(t, 1, failed[0].Index)
			require.Equal(t, []trap{{"a"}, {}, {"b"}}, out)
		})
	}
	works(t, p)
}

// Python: ExecutorDeadlockTest.test_shutdown_deadlock
// Python: ExecutorDeadlockTest.test_shutdown_deadlock_pickle
// Python: ProcessPoolShutdownTest.test_shutdown_no_wait — differs: a goroutine need not wait for Close
func TestPythonFailureAfterClose(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	crash, fail := puppet.Submit(t.Context(), p, cue{x.addr, 1}), walk.Submit(t.Context(), p, trap{"encode here: error"})
	player := x.enter(t)
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	player.say(t, "kill")
	_, err := crash.Get(t.Context())
	require.Equal(t, -9, died(t, err).Code)
	_, err = fail.Get(t.Context())
	require.ErrorContains(t, err, "trap: ")
	require.NoError(t, <-closed)
}

var crashWith = proc.RegisterTask("crash with", func(context.Context, []byte) error { return unix.Kill(os.Getpid(), unix.SIGKILL) })

// Python: ExecutorDeadlockTest.test_crash_big_data
func TestPythonCrashBigData(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	_, err := crashWith.Map(t.Context(), p, slices.Repeat([][]byte{bytes.Repeat([]byte("a"), 1<<20)}, 10), nil)
	require.Equal(t, -9, died(t, err).Code)
}

// Python: ExecutorDeadlockTest.test_gh105829_should_not_deadlock_if_wakeup_pipe_full
func TestPythonManySubmits(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	for range 2 { // nobody takes what is submitted
		puppet.Submit(t.Context(), p, cue{x.addr, 1})
	}
	players := []player{x.enter(t), x.enter(t)}
	var futures []*proc.Future[int]
	for i := range 2000 {
		futures = append(futures, square.Submit(t.Context(), p, i))
	}
	for _, one := range players {
		one.say(t, "return")
	}
	for i, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i*i, got)
	}
}

// Python: ExecutorTest.test_map_exception
func TestPythonMapException(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	n := 0
	for _, err := range failThirds.Stream(t.Context(), p, slices.Values([]int{0, 1, 2, 3}), nil) {
		require.Equal(t, n == 2, err != nil)
		n++
	}
	require.Equal(t, 4, n)
}

// Python: ExecutorTest.test_map_timeout — differs: the context is the time-out
func TestPythonMapTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan struct{})
	go func() {
		for range 3 {
			if one := x.enter(t); one.n == 2 {
				one.say(t, "obey")
				close(begun)
			} else {
				one.say(t, "return")
			}
		}
	}()
	var got []int
	var last error
	for n, err := range puppet.Stream(ctx, p, slices.Values(x.cues(3)), nil) {
		if last = err; err == nil {
			got = append(got, n)
		}
		if len(got) == 2 {
			<-begun
			cancel()
		}
	}
	require.Equal(t, []int{0, 1}, got)
	require.ErrorIs(t, last, context.Canceled)
}

// Python: ProcessPoolExecutorTest.test_killed_child — differs: the pool goes on; the task of the killed worker fails
func TestPythonKilledChild(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	f := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	require.NoError(t, unix.Kill(x.enter(t).pid, unix.SIGKILL))
	_, err := f.Get(t.Context())
	require.Equal(t, -9, died(t, err).Code)
	works(t, p)
}

// waits waits for the test's gate.
var waits = proc.RegisterTask("wait at a gate", func(_ context.Context, addr string) error {
	p, err := call(addr)
	if err == nil {
		_, err = p.converse("here")
	}
	return err
})

// Python: ProcessPoolExecutorTest.test_saturation
// Python: ProcessPoolExecutorTest.test_idle_process_reuse_one — differs: all workers are started at once
// Python: ProcessPoolExecutorTest.test_idle_process_reuse_multiple — differs: all workers are started at once
func TestPythonSaturation(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 4})
	var futures []*proc.Future[proc.None]
	for range 15 * 4 {
		futures = append(futures, waits.Submit(t.Context(), p, x.addr))
	}
	for range futures {
		x.answer(t).say(t, "go on")
	}
	for _, f := range futures {
		_, err := f.Get(t.Context())
		require.NoError(t, err)
	}
	for _, w := range p.Stats().Workers {
		require.LessOrEqual(t, w.Processes, 1, "none was replaced; the last one may not be up yet")
	}
}

// Python: FailingInitializerMixin.test_initializer — differs: NewPool itself fails
// Python: FailingInitializerResourcesTest.test_spawn — differs: nothing has a name that could be left behind
func TestPythonFailingInitialiser(t *testing.T) {
	proctest.NoLeaks(t)
	runs := newArray(t, 0)
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2, Init: failInit.With(initInput{runs, "error"})})
	require.ErrorContains(t, err, "lost at start")
	require.Empty(t, proc.Children())
}

// Python: ExecutorShutdownTest.test_cancel_futures — differs: Terminate is how what waits is dropped
func TestPythonCancelFutures(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	finished := square.Submit(t.Context(), p, 3)
	<-finished.Done()
	var futures []*proc.Future[int]
	for _, c := range x.cues(50) {
		futures = append(futures, puppet.Submit(t.Context(), p, c))
	}
	for range 2 {
		x.enter(t).say(t, "obey")
	}
	require.NoError(t, p.Terminate())
	for _, f := range futures {
		require.True(t, isDone(f))
		_, err := f.Get(t.Context())
		require.ErrorIs(t, err, proc.ErrPoolTerminated)
	}
	got, err := finished.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, got)
	x.nobody(t)
}

// Python: ExecutorShutdownTest.test_hang_gh94440
func TestPythonCancelThenClose(t *testing.T) {
	proctest.NoLeaks(t)
	for range 20 {
		p := newPool(t, &proc.PoolOptions{Workers: 1})
		square.Submit(t.Context(), p, 1).Cancel()
		require.NoError(t, p.Close())
	}
}

// Python: ProcessPoolShutdownTest.test_processes_terminate
func TestPythonProcessesTerminate(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	for range 3 {
		waits.Submit(t.Context(), p, x.addr)
	}
	for range 3 {
		x.answer(t).say(t, "go on")
	}
	require.NoError(t, p.Close())
	require.Empty(t, proc.Children())
}
