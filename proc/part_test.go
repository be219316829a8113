package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A field is what parts work on: each marks how often it was at an element, and
// what it found there.
type field struct {
	Marks *shm.Array[int32]
	Addr  string
}

// plough marks its part. At the element of which Addr speaks it does worse.
var plough = proc.Register("plough", func(ctx context.Context, p proc.Part[field]) (int, error) {
	sum := 0
	for i := p.Low; i < p.High; i++ {
		sum += i
		if shm.Add(p.Arg.Marks, i, 1) < 100 {
			continue
		}
		switch p.Arg.Addr {
		case "kill":
			return 0, unix.Kill(os.Getpid(), unix.SIGKILL)
		case "fail":
			return 0, &lostError{Place: itoa(i)}
		case "panic":
			panic("in a part")
		case "hang":
			<-make(chan int)
		default:
			line, err := call(p.Arg.Addr)
			if err == nil {
				_, err = line.converse(fmt.Sprintf("%d %d", i, os.Getpid()))
			}
			if err != nil {
				return 0, err
			}
			<-ctx.Done()
			return 0, errors.Join(ctx.Err(), line.tell("cancelled"))
		}
	}
	return sum, nil
})

var schedules = map[string]*proc.ForOptions{
	"default": nil, "guided": {Schedule: proc.Guided}, "guided, chunk": {Schedule: proc.Guided, Chunk: 7},
	"dynamic": {Schedule: proc.Dynamic}, "dynamic, chunk": {Schedule: proc.Dynamic, Chunk: 7},
	"static": {Schedule: proc.Static},
}

func TestFor(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	for name, o := range schedules {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 3, 10, 1000} {
				marks := newArray(t, make([]int32, n+1)...)
				require.NoError(t, proc.For(t.Context(), p, n, plough, field{Marks: marks}, o))
				for i, times := range marks.Copy()[:n] {
					require.EqualValues(t, 1, times, "element %d of %d", i, n)
				}
				require.Zero(t, marks.At(n))
				sum, err := proc.Reduce(t.Context(), p, n, plough, field{Marks: marks}, 1000, func(a, b int) int { return a + b }, o)
				require.NoError(t, err)
				require.Equal(t, 1000+n*(n-1)/2, sum)
			}
		})
	}
}

// extent returns its range.
var extent = proc.Register("extent", func(_ context.Context, p proc.Part[string]) (string, error) {
	return fmt.Sprintf("%s%d-%d ", p.Arg, p.Low, p.High), nil
})

// Parts are combined in the order of the range, and are as the schedule says.
func TestReduceOrder(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for name, want := range map[string]string{
		"static":         ">x0-5 x5-10 ",
		"dynamic":        ">x0-1 x1-2 x2-3 x3-4 x4-5 x5-6 x6-7 x7-8 x8-9 x9-10 ",
		"dynamic, chunk": ">x0-7 x7-10 ",
		"guided":         ">x0-2 x2-4 x4-5 x5-6 x6-7 x7-8 x8-9 x9-10 ",
		"guided, chunk":  ">x0-7 x7-10 ",
		"default":        ">x0-2 x2-4 x4-5 x5-6 x6-7 x7-8 x8-9 x9-10 ",
	} {
		for range 5 {
			got, err := proc.Reduce(t.Context(), p, 10, extent, "x", ">", func(a, b string) string { return a + b }, schedules[name])
			require.NoError(t, err)
			require.Equal(t, want, got, name)
		}
	}
}

// marked returns an array in which one element is special.
func marked(t *testing.T, n, special int) *shm.Array[int32] {
	t.Helper()
	marks := newArray(t, make([]int32, n)...)
	marks.Set(special, 99)
	return marks
}

// Nobody knows how far a dead worker came, so its part is not run again.
func TestForWorkerDies(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Retries: 5, TaskTimeout: never, Grace: time.Millisecond})
	for how, o := range map[string]*proc.ForOptions{"kill": {Schedule: proc.Static}, "hang": {Schedule: proc.Static, Timeout: 50 * time.Millisecond}} {
		marks := marked(t, 100, 70)
		err := proc.For(t.Context(), p, 100, plough, field{marks, how}, o)
		var span *proc.PartError
		require.ErrorAs(t, err, &span)
		require.Equal(t, []int{50, 100}, []int{span.Low, span.High})
		require.ErrorContains(t, err, "proc: the part [50, 100) has failed: ")
		if how == "kill" {
			require.Equal(t, -9, died(t, err).Code)
		} else {
			require.ErrorIs(t, err, proc.ErrTaskTimeout)
		}
		require.Equal(t, 1, taskError(t, err).Attempts)
		require.EqualValues(t, 1, marks.At(69))
		require.EqualValues(t, 100, marks.At(70))
		require.Zero(t, marks.At(71))
	}
	works(t, p)
}

// A panic in Progress passes through For, when no worker is at work on the array any
// more.
func TestForProgressPanics(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	marks := newArray(t, make([]int32, 100)...)
	marks.Set(70, 99)
	var other player
	require.PanicsWithValue(t, "progress", func() {
		_ = proc.For(t.Context(), p, 100, plough, field{marks, x.addr}, &proc.ForOptions{
			Schedule: proc.Static,
			Progress: func(proc.Progress) { // of the first part
				other = x.enter(t)
				other.say(t, "wait until you are cancelled")
				panic("progress")
			},
		})
	})
	require.Equal(t, "pool of 2 workers (open, 0 calls)", p.String())
	other.expect(t, "cancelled")
	works(t, p)
}

func TestForFails(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, how := range []string{"fail", "panic"} {
		err := proc.For(t.Context(), p, 100, plough, field{marked(t, 100, 20), how}, nil)
		var span *proc.PartError
		require.ErrorAs(t, err, &span)
		require.True(t, span.Low <= 20 && 20 < span.High, "%v", span)
		var lost *lostError
		var panicked *proc.PanicError
		require.True(t, errors.As(err, &lost) || errors.As(err, &panicked))
		sum, err := proc.Reduce(t.Context(), p, 100, plough, field{marked(t, 100, 20), how}, 7, func(a, b int) int { return a + b }, nil)
		require.Error(t, err)
		require.Equal(t, 7, sum)
	}
	_, err := proc.Reduce(t.Context(), p, 10, extentOfRing, cycle(), 0, func(a, b int) int { return a + b }, nil)
	require.ErrorContains(t, err, "proc: extent of ring in parallel: encode the argument: ")
	works(t, p)
}

var extentOfRing = proc.Register("extent of ring", func(context.Context, proc.Part[*ring]) (int, error) { return 0, nil })

// When For returns, no part is under way.
func TestForContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- proc.For(ctx, p, 100, plough, field{marked(t, 100, 0), x.addr}, nil) }()
	player := x.enter(t)
	player.say(t, "wait")
	cancel()
	player.expect(t, "cancelled")
	require.ErrorIs(t, <-done, context.Canceled)
	require.Equal(t, "pool of 2 workers (open, 0 calls)", p.String())
	works(t, p)
}

// A pool that is terminated has no part under way when For returns.
func TestForTerminated(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Grace: 10 * time.Millisecond})
	done := make(chan error)
	go func() { done <- proc.For(t.Context(), p, 100, plough, field{marked(t, 100, 0), x.addr}, nil) }()
	player := x.enter(t)
	player.say(t, "wait")
	w := watch(t, player.pid)
	require.NoError(t, p.Terminate())
	require.ErrorIs(t, <-done, proc.ErrPoolTerminated)
	w.allEnd(t)
}

// A worker that lives on and sees many calls does not keep all of their arrays.
func TestArraysOfManyCalls(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	for range 3 {
		for range 20 {
			marks := newArray(t, make([]int32, 10)...)
			require.NoError(t, proc.For(t.Context(), p, 10, plough, field{Marks: marks}, nil))
		}
		held, err := countSegments.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, held, 20)
	}
}

// countSegments counts the mapped segments of shared memory.
var countSegments = proc.Register("count segments", func(context.Context, int) (int, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	return strings.Count(string(maps), "/memfd:"), err
})
