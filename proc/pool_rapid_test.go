package proc_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A fate is what is to become of a task.
type fate struct {
	Kind string
	N    int
	Data []byte // makes arguments, and results, of all sizes
}

type answered struct {
	Square int
	Data   []byte
}

var suffer = proc.Register("suffer", func(ctx context.Context, f fate) (answered, error) {
	switch f.Kind {
	case "fails":
		return answered{}, &lostError{Place: itoa(f.N)}
	case "panics":
		panic(itoa(f.N))
	case "dies":
		return answered{}, unix.Kill(os.Getpid(), unix.SIGKILL)
	case "exits":
		os.Exit(4)
	case "stalls":
		<-ctx.Done()
		return answered{}, ctx.Err()
	case "hangs":
		<-make(chan int)
	}
	return answered{f.N * f.N, f.Data}, nil
})

// fates: most tasks are fine.
var fates = slices.Concat(slices.Repeat([]string{"is fine"}, 80), slices.Repeat([]string{"fails"}, 8), []string{"panics", "dies", "exits", "stalls", "hangs"})

func drawFate(rt *rapid.T, n int) fate {
	f := fate{Kind: rapid.SampledFrom(fates).Draw(rt, "fate"), N: n}
	if rapid.IntRange(0, 9).Draw(rt, "large") == 0 {
		f.Data = pattern(rapid.IntRange(1, 100_000).Draw(rt, "size"))
	}
	return f
}

// A trial is one call, and what must come of it.
type trial struct {
	t       *rapid.T
	in      []fate
	o       proc.MapOptions
	timed   bool
	settled []int
}

// judge checks one outcome.
func (tr *trial) judge(i int, got answered, err error) {
	tr.settled[i]++
	f := tr.in[i]
	late := errors.Is(err, proc.ErrTaskTimeout)
	if late && tr.timed && f.Kind != "stalls" && f.Kind != "hangs" {
		return // a slow machine
	}
	var task *proc.TaskError
	if f.Kind == "is fine" {
		require.NoError(tr.t, err)
		require.Equal(tr.t, f.N*f.N, got.Square)
		require.Equal(tr.t, string(f.Data), string(got.Data))
		return
	}
	require.ErrorAs(tr.t, err, &task)
	attempts := 1
	switch f.Kind {
	case "fails":
		var lost *lostError
		require.ErrorAs(tr.t, err, &lost)
		require.Equal(tr.t, itoa(f.N), lost.Place)
	case "panics":
		var panicked *proc.PanicError
		require.ErrorAs(tr.t, err, &panicked)
		require.Equal(tr.t, itoa(f.N), panicked.Value)
	case "dies", "exits":
		var died *proc.WorkerDiedError
		require.ErrorAs(tr.t, err, &died)
		require.Equal(tr.t, map[string]int{"dies": -9, "exits": 4}[f.Kind], died.Code)
		attempts += max(tr.o.Retries, 0)
	case "stalls", "hangs":
		require.True(tr.t, late, "%v", err)
	}
	require.Equal(tr.t, attempts, task.Attempts)
}

// run makes the call in one of the ways.
func (tr *trial) run(ctx context.Context, p *proc.Pool) {
	way := rapid.SampledFrom([]string{"map", "stream", "unordered", "submit"}).Draw(tr.t, "way")
	switch way {
	case "map":
		out, err := suffer.Map(ctx, p, tr.in, &tr.o)
		failed, _ := err.(proc.TaskErrors)
		require.True(tr.t, err == nil || failed != nil, "%v", err)
		for i, got := range out {
			tr.judge(i, got, failed.At(i))
		}
	case "stream":
		i := 0
		for got, err := range suffer.Stream(ctx, p, slices.Values(tr.in), &tr.o) {
			tr.judge(i, got, err)
			i++
		}
	case "unordered":
		for r := range suffer.MapUnordered(ctx, p, slices.Values(tr.in), &tr.o) {
			tr.judge(r.Index, r.Value, r.Err)
		}
	case "submit":
		tr.o.Retries, tr.timed = 0, true // the pool's own
		var futures []*proc.Future[answered]
		for _, f := range tr.in {
			futures = append(futures, suffer.Submit(ctx, p, f))
		}
		for i, f := range futures {
			got, err := f.Get(ctx)
			tr.judge(i, got, err)
		}
	}
	require.Equal(tr.t, slices.Repeat([]int{1}, len(tr.in)), tr.settled)
}

// TestPoolAgainstModel makes calls at random, of tasks of every kind: each input
// has exactly one outcome, the right one.
func TestPoolAgainstModel(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Grace: time.Millisecond, TaskTimeout: 40 * time.Millisecond})
	rapid.Check(t, func(rt *rapid.T) {
		tr := &trial{t: rt}
		n := rapid.IntRange(0, 30).Draw(rt, "inputs")
		for i := range n {
			f := drawFate(rt, i)
			tr.in = append(tr.in, f)
			tr.timed = tr.timed || f.Kind == "stalls" || f.Kind == "hangs"
		}
		tr.settled = make([]int, n)
		tr.o = proc.MapOptions{
			KeepGoing: true, Timeout: -1,
			Chunk:   rapid.IntRange(0, 12).Draw(rt, "chunk"),
			Window:  rapid.IntRange(0, 12).Draw(rt, "window"),
			Retries: rapid.IntRange(-1, 2).Draw(rt, "retries"),
		}
		if tr.timed {
			tr.o.Timeout = 20 * time.Millisecond
		}
		tr.run(t.Context(), p)
	})
	works(t, p)
}
