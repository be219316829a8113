package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A bomb is a value whose methods panic, in the parent.
type bomb struct{ fuse string }

func (b bomb) MarshalBinary() ([]byte, error) {
	if b.fuse == "encode" {
		panic("while encoding")
	}
	return []byte(b.fuse), nil
}

func (b *bomb) UnmarshalBinary(data []byte) error {
	b.fuse = string(data)
	if _, inWorker := proc.WorkerIndex(); b.fuse == "decode" && !inWorker {
		panic("while decoding")
	}
	return nil
}

var throw = proc.Register("throw", func(_ context.Context, b bomb) (bomb, error) { return b, nil })

// An argument that panics leaves nothing of its task behind.
func TestSubmitArgumentPanics(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	require.PanicsWithValue(t, "while encoding", func() { throw.Submit(t.Context(), p, bomb{"encode"}) })
	require.Equal(t, "pool of 2 workers (open, 0 calls)", p.String())
	require.NoError(t, p.Close())
}

// A result that panics does so each time.
func TestGetPanicsAgain(t *testing.T) {
	proctest.NoLeaks(t)
	f := throw.Submit(t.Context(), newPool(t, nil), bomb{"decode"})
	for range 3 {
		require.PanicsWithValue(t, "while decoding", func() { _, _ = f.Get(t.Context()) })
	}
}

// However many errors there are in a chunk, each arrives whole.
func TestManyErrorsInChunk(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, o := range []*proc.MapOptions{{KeepGoing: true, Chunk: 2000}, {KeepGoing: true, Chunk: 2000, Timeout: patience}} {
		_, err := complain.Map(t.Context(), p, slices.Repeat([]int{120}, 2000), o)
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 2000)
		for _, e := range failed {
			var remote *proc.RemoteError
			require.ErrorAs(t, e, &remote)
			require.Len(t, remote.Text, 120)
		}
	}
}

// mappedSegments counts the segments of shared memory that this process has mapped.
func mappedSegments(t testing.TB) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(maps), "/memfd:")
}

// lend returns an array, but not for its last input.
var lend = proc.Register("lend", func(_ context.Context, last bool) (*shm.Array[int32], error) {
	if last {
		return nil, errors.New("the last one")
	}
	return shm.NewArray[int32](1, nil)
})

var lendPart = proc.Register("lend part", func(_ context.Context, p proc.Part[int]) (*shm.Array[int32], error) {
	if p.Low == p.Arg {
		return nil, errors.New("the last one")
	}
	return shm.NewArray[int32](1, nil)
})

// Shared objects in results that nobody gets are closed.
func TestResultsThatNobodyGets(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	in := append(make([]bool, 20), true)
	before := mappedSegments(t)
	out, err := lend.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 1})
	require.Error(t, err)
	require.Nil(t, out)
	require.Equal(t, before, mappedSegments(t), "Map that fails")
	last := func(_, b *shm.Array[int32]) *shm.Array[int32] { return b }
	_, err = proc.Reduce(t.Context(), p, 20, lendPart, 19, nil, last, &proc.ForOptions{Schedule: proc.Dynamic, Chunk: 1})
	require.Error(t, err)
	require.Equal(t, before, mappedSegments(t), "Reduce that fails")
	require.Panics(t, func() {
		_, _ = proc.Reduce(t.Context(), p, 20, lendPart, -1, nil, last, &proc.ForOptions{Progress: func(proc.Progress) { panic("progress") }})
	})
	require.Equal(t, before, mappedSegments(t), "Reduce, with a Progress that panics")
	require.NoError(t, proc.For(t.Context(), p, 20, lendPart, -1, nil))
	require.Equal(t, before, mappedSegments(t), "For")
}

// Those that wait for the one before them, too.
func TestEarlyResultsOfStream(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	x := newExchange(t)
	before := mappedSegments(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in := append([]string{x.addr}, make([]string, 20)...)
	late := make(chan player, 1)
	go func() { late <- x.enter(t) }()
	done := 0
	progress := func(now proc.Progress) {
		if done = now.Done; done == 20 {
			cancel()
		}
	}
	for _, err := range lendLate.Stream(ctx, p, slices.Values(in), &proc.MapOptions{Chunk: 1, Window: 30, Progress: progress}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 20, done)
	require.Equal(t, before, mappedSegments(t))
	player := <-late
	player.say(t, "go on")
}

var lendLate = proc.Register("lend late", func(_ context.Context, addr string) (*shm.Array[int32], error) {
	if addr != "" {
		line, err := call(addr)
		if err != nil {
			return nil, err
		}
		if _, err := line.converse(fmt.Sprint(0, " ", os.Getpid())); err != nil {
			return nil, err
		}
	}
	return shm.NewArray[int32](1, nil)
})

// Inputs that cannot travel count, like others, for the window.
func TestWindowOfInputsThatCannotTravel(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var read atomic.Int64
	in := func(yield func(*ring) bool) {
		for yield(cycle()) {
			read.Add(1)
		}
	}
	got := int64(0)
	for r := range follow.MapUnordered(t.Context(), p, in, &proc.MapOptions{Window: 4}) {
		require.Error(t, r.Err)
		if got++; got == 1000 {
			break
		}
		require.LessOrEqual(t, read.Load(), got+10)
	}
}

// A tallied is counted when it is encoded.
type tallied struct{ text string }

var tally atomic.Int64

func (tallied) MarshalBinary() ([]byte, error) {
	tally.Add(1)
	return nil, nil
}

func (*tallied) UnmarshalBinary([]byte) error { return nil }

var ignore = proc.Register("ignore", func(context.Context, tallied) (int, error) { return 0, nil })

// Map has a window, too.
func TestWindowOfMap(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, window := range []int{1, 8, 100} {
		tally.Store(0)
		_, err := ignore.Map(t.Context(), p, make([]tallied, 3000), &proc.MapOptions{Window: window, Progress: func(now proc.Progress) {
			require.LessOrEqual(t, tally.Load(), int64(now.Done+2*window+1))
		}})
		require.NoError(t, err)
	}
}

// A hookedContext counts what hangs on it.
type hookedContext struct {
	context.Context
	done chan struct{}
	held atomic.Int64
}

func (c *hookedContext) Done() <-chan struct{} { return c.done }

func (c *hookedContext) AfterFunc(func()) func() bool {
	c.held.Add(1)
	return func() bool {
		c.held.Add(-1)
		return true
	}
}

// A context does not keep tasks that are over.
func TestContextForgetsTasks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	ctx := &hookedContext{Context: t.Context(), done: make(chan struct{})}
	for i := range 10 {
		<-square.Submit(ctx, p, i).Done()
	}
	_, err := square.Map(ctx, p, numbers(100), nil)
	require.NoError(t, err)
	isQuiet(t, p)
	require.Zero(t, ctx.held.Load())
}

// Parts are made when they are needed.
func TestForOfManyParts(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	err := proc.For(t.Context(), p, 1<<40, lendPart, 5, &proc.ForOptions{Schedule: proc.Dynamic, Chunk: 1})
	var failed *proc.PartError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, []int{5, 6}, []int{failed.Low, failed.High})
}

// A nilError has a method that needs a value.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

var failWithNil = proc.RegisterTask("fail with nil", func(context.Context, int) error {
	var e *nilError
	return e
})

// An error that cannot say what it is, is a panic.
func TestErrorPanics(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Retries: 3})
	_, err := failWithNil.Submit(t.Context(), p, 0).Get(t.Context())
	var panicked *proc.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Contains(t, panicked.Stack, "nilError")
	require.Equal(t, 1, taskError(t, err).Attempts)
	works(t, p)
}

func TestAsCompletedOfNothing(t *testing.T) {
	proctest.NoLeaks(t)
	for _, f := range []*proc.Future[int]{nil, {}} {
		require.Panics(t, func() {
			for range proc.AsCompleted(t.Context(), f) {
			}
		})
	}
}

// panicsWith requires that the input's panic comes out of f, with its stack.
func panicsWith(t testing.TB, text string, f func()) {
	t.Helper()
	defer func() {
		err, ok := recover().(error)
		require.True(t, ok)
		require.ErrorContains(t, err, "the input has panicked: "+text)
		require.ErrorContains(t, err, "_test.go:")
	}()
	f()
}

// An input that ends its goroutine ends the caller's: so does a test's own input
// that has failed.
func TestInputGoexit(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	returned := false
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, err := range square.Stream(t.Context(), p, func(func(int) bool) { runtime.Goexit() }, nil) {
			t.Error(err)
		}
		returned = true
	}()
	<-ended
	require.False(t, returned)
	own := errors.New("own")
	defer func() {
		err, _ := recover().(error)
		require.ErrorIs(t, err, own)
		works(t, p)
	}()
	for _, err := range square.Stream(t.Context(), p, func(func(int) bool) { panic(own) }, nil) {
		t.Error(err)
	}
}

var sumAndKeep = proc.Register("sum and keep", func(_ context.Context, a *shm.Array[int32]) (int32, error) { return a.At(0), nil })

// Arrays of a task's argument are closed when it has returned.
func TestArgumentsAreClosed(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	held := func() int {
		n, err := countSegments.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		return n
	}
	before := held()
	_, err := sumAndKeep.Map(t.Context(), p, slices.Repeat([]*shm.Array[int32]{newArray(t, 7)}, 20), nil)
	require.NoError(t, err)
	require.Equal(t, before, held())
}

var neverMind = proc.RegisterTask("never mind", func(context.Context, int) error { return errors.New("never mind") })

// What Exit says is not lost.
func TestExitFails(t *testing.T) {
	proctest.NoLeaks(t)
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2, Exit: neverMind.With(0)})
	require.NoError(t, err)
	works(t, p)
	for range 2 {
		err = p.Close()
		var remote *proc.RemoteError
		require.ErrorAs(t, err, &remote)
		require.ErrorContains(t, err, "proc: the pool's exit function never mind has failed: ")
	}
	p = newPool(t, &proc.PoolOptions{Workers: 2, Exit: neverMind.With(0)})
	works(t, p)
	require.NoError(t, p.Terminate())
}
