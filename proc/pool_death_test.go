package proc_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// died returns the WorkerDiedError in err.
func died(t testing.TB, err error) *proc.WorkerDiedError {
	t.Helper()
	var e *proc.WorkerDiedError
	require.ErrorAs(t, err, &e)
	return e
}

// taskError returns the TaskError in err.
func taskError(t testing.TB, err error) *proc.TaskError {
	t.Helper()
	var e *proc.TaskError
	require.ErrorAs(t, err, &e)
	return e
}

// In CPython, the result of a task whose worker was killed never comes.
func TestWorkerKilledWhileRunning(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	in := x.cues(8)
	type outcome struct {
		out []int
		err error
	}
	mapped := make(chan outcome)
	go func() {
		out, err := puppet.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 1, KeepGoing: true})
		mapped <- outcome{out, err}
	}()
	var victim player
	for i := range in {
		player := x.enter(t)
		if i == 0 {
			victim = player
			require.NoError(t, unix.Kill(player.pid, unix.SIGKILL))
		} else {
			player.say(t, "return")
		}
	}
	got := <-mapped
	var failed proc.TaskErrors
	require.ErrorAs(t, got.err, &failed)
	require.Len(t, failed, 1)
	require.Equal(t, victim.n, failed[0].Index)
	require.Equal(t, "puppet", failed[0].Func)
	require.Equal(t, 1, failed[0].Attempts)
	e := died(t, got.err)
	require.Equal(t, -9, e.Code)
	require.Equal(t, victim.pid, e.Pid)
	require.Equal(t, failed[0].Worker, e.Worker)
	want := squares(8)
	want[victim.n] = 0
	require.Equal(t, want, got.out)
	works(t, p)
	require.NoError(t, p.Close())
}

// In CPython, every other time it takes the lock of the tasks with it, and the
// pool for ever.
func TestWorkerKilledWhileIdle(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for range 10 {
		works(t, p)
		for _, c := range proc.Children() {
			require.NoError(t, unix.Kill(c.Pid(), unix.SIGKILL))
		}
	}
	works(t, p)
	require.NoError(t, p.Close())
}

func TestExitInTask(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for how, code := range map[string]int{"exit 7": 7, "exit 0": 0, "exit 256": 0, "signal 9": -9, "panic-elsewhere": 2} {
		_, err := leave.Map(t.Context(), p, []string{"return", how, "return"}, &proc.MapOptions{Chunk: 3})
		require.Equal(t, 1, taskError(t, err).Index, how)
		require.Equal(t, code, died(t, err).Code, how)
	}
	// A worker that is asked to end finishes the task that it has in hand.
	_, err := leave.Map(t.Context(), p, []string{"return", "signal 15", "return"}, &proc.MapOptions{Chunk: 3})
	require.NoError(t, err)
	works(t, p)
}

// A worker's last words come with its death.
func TestWorkerDiedErrorTellsLastWords(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	_, err := utter.Submit(t.Context(), p, "a\nb\nfarewell\n").Get(t.Context())
	e := died(t, err)
	require.Equal(t, "a\nb\nfarewell\n", e.Stderr)
	require.EqualError(t, err, fmt.Sprintf("proc: utter: input 0: worker %d (pid %d) ended with status 3 before its function returned: farewell", e.Worker, e.Pid))
	_, err = utter.Submit(t.Context(), p, "first\n"+strings.Repeat("0123456789abcde\n", 1000)).Get(t.Context())
	e = died(t, err)
	require.Len(t, e.Stderr, 4096)
	require.NotContains(t, e.Stderr, "first")
	_, err = leave.Submit(t.Context(), p, "panic-elsewhere").Get(t.Context())
	require.Contains(t, died(t, err).Error(), ": panic: on purpose")
	require.Contains(t, died(t, err).Stderr, "exit_test.go:")
}

// utter writes to standard error, and ends its process.
var utter = proc.RegisterTask("utter", func(_ context.Context, text string) error {
	if _, err := os.Stderr.WriteString(text); err != nil {
		return err
	}
	os.Exit(3)
	return nil
})

// Panics and the like are outcomes, and are not tried again.
func TestPanicInTask(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Retries: 3})
	for how, value := range map[string]string{"panic": "on purpose", "goexit": "the function called runtime.Goexit"} {
		out, err := leave.Map(t.Context(), p, []string{"return", how, "return", how, "return"}, &proc.MapOptions{Chunk: 5, KeepGoing: true})
		require.Equal(t, []string{"returned", "", "returned", "", "returned"}, out)
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 2)
		for i, e := range failed {
			require.Equal(t, 1+2*i, e.Index)
			require.Equal(t, 1, e.Attempts)
			var panicked *proc.PanicError
			require.ErrorAs(t, e, &panicked)
			require.Equal(t, value, panicked.Value)
			require.Contains(t, panicked.Stack, "exit_test.go:")
			require.Equal(t, fmt.Sprint("Worker-", e.Worker), panicked.Name)
			require.NotZero(t, panicked.Pid)
		}
	}
	works(t, p)
}

// fragile dies of an input unless as many have died of it as its value says.
var fragile = proc.Register("fragile", func(_ context.Context, in struct {
	Deaths *shm.Array[int32]
	N      int
	Most   int32
}) (int, error) {
	if shm.Add(in.Deaths, in.N, 1) <= in.Most {
		return 0, unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return in.N * in.N, in.Deaths.Close()
})

type fragileInput = struct {
	Deaths *shm.Array[int32]
	N      int
	Most   int32
}

func TestRetries(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Retries: 2})
	const n = 20
	input := func(most func(i int) int32) (in []fragileInput, begun *shm.Array[int32]) {
		begun = newArray(t, make([]int32, n)...)
		for i := range n {
			in = append(in, fragileInput{begun, i, most(i)})
		}
		return in, begun
	}
	t.Run("in time", func(t *testing.T) {
		in, begun := input(func(i int) int32 { return map[int]int32{3: 1, 4: 2, 19: 1}[i] })
		out, err := fragile.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 4})
		require.NoError(t, err)
		require.Equal(t, squares(n), out)
		for i, times := range begun.Copy() {
			require.Equal(t, 1+in[i].Most, times, "input %d", i)
		}
	})
	// What kills every worker is given up, and harms nobody else.
	t.Run("poison", func(t *testing.T) {
		in, begun := input(func(i int) int32 { return map[int]int32{7: 100}[i] })
		out, err := fragile.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 10, KeepGoing: true})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 1)
		require.Equal(t, 7, failed[0].Index)
		require.Equal(t, 3, failed[0].Attempts)
		require.ErrorContains(t, failed[0], "proc: fragile: input 7, attempt 3: worker ")
		require.Equal(t, -9, died(t, failed[0]).Code)
		want := squares(n)
		want[7] = 0
		require.Equal(t, want, out)
		for i, times := range begun.Copy() {
			require.Equal(t, map[bool]int32{true: 3, false: 1}[i == 7], times, "input %d", i)
		}
	})
	t.Run("none for one call", func(t *testing.T) {
		in, _ := input(func(i int) int32 { return map[int]int32{5: 1}[i] })
		_, err := fragile.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 4, Retries: -1})
		require.Equal(t, 5, taskError(t, err).Index)
		require.Equal(t, 1, taskError(t, err).Attempts)
	})
	t.Run("more for one call", func(t *testing.T) {
		in, _ := input(func(i int) int32 { return map[int]int32{5: 4}[i] })
		_, err := fragile.Map(t.Context(), p, in, &proc.MapOptions{Retries: 4})
		require.NoError(t, err)
	})
	t.Run("futures", func(t *testing.T) {
		in, _ := input(func(i int) int32 { return 2 })
		got, err := fragile.Submit(t.Context(), p, in[6]).Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 36, got)
	})
	works(t, p)
}

// An argument that does not lie in the slot is still there for the next attempt.
func TestRetryWithLargeArgument(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Retries: 1})
	begun := newArray(t, 0)
	got, err := dieOfFirst.Map(t.Context(), p, []largeInput{{begun, pattern(1 << 20)}}, nil)
	require.NoError(t, err)
	require.Equal(t, pattern(1<<20), got[0])
	require.EqualValues(t, 2, begun.At(0))
}

type largeInput = struct {
	Begun *shm.Array[int32]
	Data  []byte
}

var dieOfFirst = proc.Register("die of the first", func(_ context.Context, in largeInput) ([]byte, error) {
	if shm.Add(in.Begun, 0, 1) == 1 {
		return nil, unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return in.Data, in.Begun.Close()
})

// Everybody keeps dying, and everybody has an outcome.
func TestAllWorkersDieAllTheTime(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	in := make([]string, 12)
	for i := range in {
		in[i] = "signal 9"
	}
	_, err := leave.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 4, KeepGoing: true})
	var failed proc.TaskErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, len(in))
	for i, e := range failed {
		require.Equal(t, i, e.Index)
		require.Equal(t, -9, died(t, e).Code)
	}
	deaths := 0
	for _, w := range p.Stats().Workers {
		deaths += w.Deaths
	}
	require.Equal(t, len(in), deaths)
	works(t, p)
}

// A stopped worker without a task in hand is nobody's concern.
func TestWorkerStoppedWhileIdle(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	works(t, p)
	victim := proc.Children()[0].Pid()
	require.NoError(t, unix.Kill(victim, unix.SIGSTOP))
	awaitStopped(t, victim)
	for range 3 {
		works(t, p)
	}
	require.NoError(t, unix.Kill(victim, unix.SIGCONT))
	works(t, p)
	require.NoError(t, p.Close())
}

// poolOwner has a pool whose workers it names, and waits for its end.
var poolOwner = proctest.Register("owner of a pool", func(h *proctest.Helper) error {
	ctx := context.Background()
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 3})
	if err != nil {
		return err
	}
	if h.Args[1] == "busy" {
		for i := range 3 {
			puppet.Submit(ctx, p, cue{h.Args[0], i})
		}
	} else if _, err := square.Map(ctx, p, numbers(10), nil); err != nil {
		return err
	}
	for len(proc.Children()) < 3 { // NewPool waits for the first only
		runtime.Gosched()
	}
	var b strings.Builder
	for _, c := range proc.Children() {
		fmt.Fprint(&b, c.Pid(), " ")
	}
	h.Say(b.String())
	_, err = h.Listen()
	return err
})

// CPython's workers wait for ever on pipes that they hold open themselves.
func TestPoolOfKilledParent(t *testing.T) {
	for _, state := range []string{"idle", "busy", "hanging", "stopped"} {
		t.Run(state, func(t *testing.T) {
			proctest.NoLeaks(t)
			x := newExchange(t)
			mode := "busy"
			if state == "idle" {
				mode = state
			}
			owner := poolOwner.Start(t, nil, x.addr, mode)
			if mode == "busy" {
				for range 3 {
					player := x.enter(t)
					if state == "hanging" {
						player.say(t, "hang")
					}
				}
			}
			pids := make([]int, 3)
			scan(owner.Line(t), "", &pids[0], &pids[1], &pids[2])
			w := watch(t, pids...)
			if state == "stopped" {
				for _, pid := range pids {
					require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
					awaitStopped(t, pid)
				}
			}
			owner.Kill(t)
			w.allEnd(t)
		})
	}
}

// A parent that simply returns from main leaves nothing either.
//
// Python: ExecutorShutdownTest.test_interpreter_shutdown — differs: the end of main ends the workers at once
// Python: ExecutorShutdownTest.test_hang_gh83386 — differs: the end of main ends the workers at once
func TestPoolOfParentThatReturns(t *testing.T) {
	proctest.NoLeaks(t)
	owner := poolOwner.Start(t, nil, "", "idle")
	pids := make([]int, 3)
	scan(owner.Line(t), "", &pids[0], &pids[1], &pids[2])
	w := watch(t, pids...)
	owner.Tell(t, "end")
	require.NoError(t, owner.Wait(t))
	w.allEnd(t)
}

// Workers die under several calls at once; each has its own outcomes.
func TestWorkersDieUnderSeveralCalls(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 2, Retries: 50})
	ctx, stop := context.WithCancel(t.Context())
	var killer, calls sync.WaitGroup
	killer.Go(func() {
		for n := 0; ctx.Err() == nil && n < 40; n++ {
			if all := proc.Children(); len(all) > 0 {
				all[n%len(all)].Kill()
			}
			_, err := square.Submit(ctx, p, n).Get(ctx) // the pace
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for i := range 3 {
		calls.Go(func() {
			out, err := square.Map(t.Context(), p, numbers(3000), &proc.MapOptions{Chunk: 1 + 10*i})
			if err != nil {
				t.Error(err)
				return
			}
			for n, got := range out {
				if got != n*n {
					t.Errorf("result %d is %d", n, got)
				}
			}
		})
	}
	calls.Wait()
	stop()
	killer.Wait()
	runtime.Gosched()
	works(t, p)
}
