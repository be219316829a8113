package proc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// withoutDescriptors calls f while this process gets no more descriptors.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	none := before
	none.Cur = 3
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	f()
}

var giveArray = proc.Register("give an array", func(context.Context, int) (*shm.Array[int32], error) {
	return shm.NewArray[int32](1, nil)
})

// A result that this process cannot receive is that item's error; the worker, which
// cannot be heard any more, is replaced.
func TestResultThatCannotBeReceived(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	busy := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	player := x.enter(t) // that worker stays
	awaitChildren(t, 2)  // the other one cannot start later
	withoutDescriptors(t, func() {
		_, err := giveArray.Submit(t.Context(), p, 0).Get(t.Context())
		require.ErrorContains(t, taskError(t, err), "receive what it sends: ")
		_ = died(t, err)
	})
	works(t, p)
	a, err := giveArray.Submit(t.Context(), p, 0).Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, a.Close())
	player.say(t, "return")
	_, err = busy.Get(t.Context())
	require.NoError(t, err)
}

// A told handler tells the test of the records with a message.
type told struct {
	pool    *atomic.Pointer[proc.Pool]
	message string
	records chan struct{}
}

func (told) Enabled(context.Context, slog.Level) bool { return true }
func (h told) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h told) WithGroup(string) slog.Handler          { return h }

// Handle asks the pool, as handlers may.
func (h told) Handle(_ context.Context, r slog.Record) error {
	if p := h.pool.Load(); p != nil {
		_ = p.Stats()
	}
	if r.Message == h.message {
		h.records <- struct{}{}
	}
	return nil
}

func newTold(message string) told {
	return told{new(atomic.Pointer[proc.Pool]), message, make(chan struct{}, 100)}
}

func TestLoggerAsksThePool(t *testing.T) {
	proctest.NoLeaks(t)
	h := newTold("worker ended")
	p := newPool(t, &proc.PoolOptions{Workers: 1, MaxTasks: 1, Logger: slog.New(h)})
	h.pool.Store(p)
	works(t, p)
	<-h.records
}

// As long as one worker is ready, the system may refuse others as often as it likes.
func TestWorkersThatAreRefused(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithRefusals(t, 0)
	x := newExchange(t)
	h := newTold("worker not started")
	p := newPool(t, &proc.PoolOptions{Logger: slog.New(h)})
	works(t, p)
	awaitChildren(t, 2)
	busy := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	player := x.enter(t)
	withoutDescriptors(t, func() {
		for _, c := range proc.Children() {
			if c.Pid() != player.pid {
				require.NoError(t, unix.Kill(c.Pid(), unix.SIGKILL))
			}
		}
		for range 5 {
			<-h.records
		}
	})
	works(t, p)
	player.say(t, "return")
	_, err := busy.Get(t.Context())
	require.NoError(t, err)
}

// A writer that nobody takes anything from.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) {
	<-s
	return len(b), nil
}

// Nothing but writing waits for who does not take what workers say.
func TestStderrThatNobodyTakes(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithShortLastWords(t)
	out := make(stuck)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Stderr: out})
	_, err := utter.Submit(t.Context(), p, "farewell").Get(t.Context())
	require.Equal(t, "farewell", died(t, err).Stderr)
	works(t, p)
	require.NoError(t, p.Close())
	close(out)
}

// leaveBehind starts a process that writes to standard error, and exits.
var leaveBehind = proc.RegisterTask("leave behind", func(context.Context, struct{}) error {
	c := exec.Command("yes")
	c.Stdout = os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	os.Exit(3)
	return nil
})

func TestStderrOfProcessLeftBehind(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Stderr: io.Discard})
	_, err := leaveBehind.Submit(t.Context(), p, struct{}{}).Get(t.Context())
	require.Equal(t, 3, died(t, err).Code)
	works(t, p)
}

func TestPoolStderr(t *testing.T) {
	proctest.NoLeaks(t)
	var b bytes.Buffer // writes come one at a time, says the race detector
	p := newPool(t, &proc.PoolOptions{Workers: 3, Stderr: &b})
	_, err := utter.Map(t.Context(), p, []string{"a", "b", "c", "d"}, &proc.MapOptions{KeepGoing: true})
	require.Error(t, err)
	require.NoError(t, p.Close())
	require.Len(t, b.String(), 4)
}

// An old panic is not why a worker has exited.
func TestWorkersOldPanic(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Stderr: io.Discard})
	_, err := utter.Submit(t.Context(), p, "panic: old\nfarewell\n").Get(t.Context())
	require.Contains(t, err.Error(), ": farewell")
	_, err = utter.Submit(t.Context(), p, "panic: old\n"+strings.Repeat("farewell\n", 1000)).Get(t.Context())
	require.NotContains(t, died(t, err).Stderr, "old")
}

// countTasks returns how many tasks of it the worker has done.
var countTasks = proc.Register("count tasks", func(context.Context, int) (int, error) {
	tasksDone++
	return tasksDone, nil
})

var tasksDone int

// More than there are slots, while the only worker is busy.
func TestSubmittedTasksInOrder(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	busy := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	player := x.enter(t)
	var futures []*proc.Future[int]
	for i := range 1500 {
		futures = append(futures, countTasks.Submit(t.Context(), p, i))
	}
	player.say(t, "return")
	for i, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i+1, got)
	}
	_, err := busy.Get(t.Context())
	require.NoError(t, err)
}

var hang = proc.RegisterTask("hang", func(context.Context, struct{}) error { <-make(chan int); return nil })

// Close waits for tasks, also of workers that are to leave, and for nothing else that
// does not end.
func TestCloseWhenWorkersDoNotLeave(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Grace: 20 * time.Millisecond})
	works(t, p)
	require.NoError(t, unix.Kill(proc.Children()[0].Pid(), unix.SIGSTOP))
	require.NoError(t, p.Close())

	p = newPool(t, &proc.PoolOptions{Workers: 1, Grace: 20 * time.Millisecond, Exit: hang.With(struct{}{})})
	works(t, p)
	require.NoError(t, p.Close())

	x := newExchange(t)
	p = newPool(t, &proc.PoolOptions{Workers: 2, Grace: 20 * time.Millisecond})
	f, g := puppet.Submit(t.Context(), p, cue{x.addr, 3}), puppet.Submit(t.Context(), p, cue{x.addr, 4})
	one, other := x.enter(t), x.enter(t)
	require.NoError(t, p.Resize(1)) // one of them is to leave
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	one.say(t, "obey")
	other.say(t, "obey")
	select {
	case <-f.Done():
		require.Fail(t, "the task was asked to end")
	case <-g.Done():
		require.Fail(t, "the task was asked to end")
	case <-time.After(100 * time.Millisecond): // a good pool passes after any time
	}
	f.Cancel()
	g.Cancel()
	require.NoError(t, <-closed)
}

// overwrite stands for a worker that writes where it must not: it changes the words
// of all chunks that are out.
func overwrite(t *testing.T, change func(word uint64) uint64) {
	t.Helper()
	const slots, size, at = 512, 64, 4608 // docs/layout.md
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, file := range files {
		path := "/proc/self/fd/" + file.Name()
		if to, _ := os.Readlink(path); to != "/memfd:pool (deleted)" {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		b := make([]byte, 8)
		for n := range int64(slots) {
			_, err := f.ReadAt(b, at+n*size)
			require.NoError(t, err)
			if word := binary.NativeEndian.Uint64(b); word != 0 {
				binary.NativeEndian.PutUint64(b, change(word))
				_, err = f.WriteAt(b, at+n*size)
				require.NoError(t, err)
			}
		}
		require.NoError(t, f.Close())
	}
}

// What a worker cannot have written by the rules ends the pool, with its own error.
func TestDamagedPool(t *testing.T) {
	for name, change := range map[string]func(uint64) uint64{
		"the parent's verdict":         func(w uint64) uint64 { return w&^7 | 5 },
		"ready, of a worker":           func(w uint64) uint64 { return w>>27<<27 | 1023<<3 | 1 },
		"done, but there were 3 items": func(w uint64) uint64 { return w>>41<<41 | 1<<27 | 1<<13 | 3 },
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			x := newExchange(t)
			p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Grace: time.Millisecond})
			require.NoError(t, err)
			done := make(chan error)
			go func() {
				_, err := puppet.Map(t.Context(), p, x.cues(3), &proc.MapOptions{Chunk: 3})
				done <- err
			}()
			x.enter(t)
			x.nobody(t)
			overwrite(t, change)
			require.ErrorIs(t, <-done, proc.ErrPoolCorrupt)
			require.ErrorIs(t, p.Close(), proc.ErrPoolCorrupt)
		})
	}
}

// The time without work begins when a call is over, even if it had none.
func TestIdleTimeoutAfterEmptyCall(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutQuiet(t)
	p := newPool(t, &proc.PoolOptions{IdleTimeout: 10 * time.Millisecond})
	awaitChildren(t, 0)
	for _, err := range square.Stream(t.Context(), p, func(func(int) bool) {
		for len(proc.Children()) < 2 {
			runtime.Gosched()
		}
	}, nil) {
		require.Fail(t, "there was no input", err)
	}
	awaitChildren(t, 0)
}

// dieInInitOnce is an initialiser: the first time it outlives a pool's IdleTimeout,
// and dies.
var dieInInitOnce = proc.RegisterTask("die in init once", func(_ context.Context, a *shm.Array[int32]) error {
	if shm.Add(a, 0, 1) == 1 {
		os.Exit(3)
	}
	return nil
})

func TestIdleTimeoutBeginsWithTheFirstWorker(t *testing.T) {
	proctest.NoLeaks(t)
	runs := newArray(t, 0)
	p := newPool(t, &proc.PoolOptions{Workers: 1, IdleTimeout: time.Nanosecond, Init: dieInInitOnce.With(runs)})
	works(t, p)
}

var outstay = proc.RegisterTask("outstay", func(ctx context.Context, _ struct{}) error {
	<-ctx.Done()
	return ctx.Err()
})

// A pool that has other work keeps the time limit of what comes now, however short.
func TestShortTimeLimitInBusyPool(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutSweeps(t) // which would find it in the end
	x := newExchange(t)
	p := newPool(t, nil)
	limit := &proc.MapOptions{Timeout: 10 * time.Millisecond}
	one := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	first := x.enter(t)
	_, err := outstay.Map(t.Context(), p, make([]struct{}, 1), limit)
	require.ErrorIs(t, err, proc.ErrTaskTimeout)

	two := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	second := x.enter(t)
	done := make(chan error)
	go func() { // it waits until a worker is free
		_, err := outstay.Map(t.Context(), p, make([]struct{}, 1), limit)
		done <- err
	}()
	second.say(t, "return")
	require.ErrorIs(t, <-done, proc.ErrTaskTimeout)
	first.say(t, "return")
	for _, f := range []*proc.Future[int]{one, two} {
		_, err := f.Get(t.Context())
		require.NoError(t, err)
	}
}

// Workers are replaced at once, as long as it is tasks that they die of.
func TestInputsThatCrashWorkers(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Stderr: io.Discard})
	_, err := leave.Map(t.Context(), p, slices.Repeat([]string{"exit 0"}, 8), &proc.MapOptions{KeepGoing: true})
	var failed proc.TaskErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, 8)
	require.Zero(t, p.BackOff())
	require.Equal(t, 8, p.Stats().Workers[0].Deaths, "they had a task, whatever they said at the end")
}

func TestDefaultWorkers(t *testing.T) {
	proctest.NoLeaks(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	p, err := proc.NewPool(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 3, p.Workers())
	require.NoError(t, p.Close())
}

const dieEarly = "PROC_TEST_DIE_EARLY"

func init() {
	if os.Getenv(dieEarly) != "" {
		os.Exit(9)
	}
}

// It is not the initialiser that has failed.
func TestWorkersThatDieEarly(t *testing.T) {
	proctest.NoLeaks(t)
	t.Setenv(dieEarly, "yes")
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Init: hang.With(struct{}{})})
	var init *proc.InitError
	require.ErrorAs(t, err, &init)
	require.Empty(t, init.Func)
	require.ErrorContains(t, err, "proc: the pool's workers do not start: ")
	require.Equal(t, 9, died(t, err).Code)
}
