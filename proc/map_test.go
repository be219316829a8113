package proc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// failThirds fails for each third number.
var failThirds = proc.Register("fail thirds", func(_ context.Context, n int) (int, error) {
	if n%3 == 2 {
		return 0, &lostError{Place: itoa(n)}
	}
	return n * n, nil
})

func TestMapChunks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, n := range []int{0, 1, 2, 7, 1000, 100_000} {
		for _, chunk := range []int{0, 1, 3, 100, 4096} {
			if n == 100_000 && chunk == 1 {
				continue // takes long
			}
			out, err := square.Map(t.Context(), p, numbers(n), &proc.MapOptions{Chunk: chunk})
			require.NoError(t, err)
			require.Equal(t, squares(n), out)
		}
	}
}

// The first error ends the call, and nothing of it runs any more.
func TestMapFailsFast(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	done := make(chan error)
	go func() {
		out, err := puppet.Map(t.Context(), p, x.cues(2), &proc.MapOptions{Chunk: 1})
		if out != nil {
			t.Errorf("results %v", out)
		}
		done <- err
	}()
	a, b := x.enter(t), x.enter(t)
	b.say(t, "obey")
	a.say(t, "fail")
	err := <-done
	require.Equal(t, a.n, taskError(t, err).Index)
	require.ErrorContains(t, err, fmt.Sprintf("proc: puppet: input %d: Worker-", a.n))
	b.expect(t, "proc: the task was cancelled")
	works(t, p)

	begun := newArray(t, 0)
	_, err = countAndFail.Map(t.Context(), p, slices.Repeat([]*shm.Array[int32]{begun}, 10_000), &proc.MapOptions{Chunk: 1})
	require.Error(t, err)
	works(t, p)
	require.Less(t, begun.At(0), int32(10_000))
}

var countAndFail = proc.RegisterTask("count and fail", func(_ context.Context, a *shm.Array[int32]) error {
	shm.Add(a, 0, 1)
	return errors.Join(errors.New("on purpose"), a.Close())
})

func TestMapKeepsGoing(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, chunk := range []int{0, 1, 7, 100} {
		out, err := failThirds.Map(t.Context(), p, numbers(100), &proc.MapOptions{KeepGoing: true, Chunk: chunk})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 33)
		for i, e := range failed {
			require.Equal(t, 3*i+2, e.Index)
			require.Equal(t, e, failed.At(e.Index))
			var lost *lostError
			require.ErrorAs(t, e, &lost)
			require.Equal(t, itoa(e.Index), lost.Place)
		}
		require.Nil(t, failed.At(3))
		require.ErrorContains(t, err, "proc: 33 inputs have failed; fail thirds: input 2: ")
		require.ErrorContains(t, err, "; and 28 more")
		var lost *lostError
		require.ErrorAs(t, err, &lost)
		require.Equal(t, "2", lost.Place)
		for i, got := range out {
			require.Equal(t, map[bool]int{true: 0, false: i * i}[i%3 == 2], got)
		}
	}
	out, err := square.Map(t.Context(), p, numbers(10), &proc.MapOptions{KeepGoing: true})
	require.NoError(t, err)
	require.Equal(t, squares(10), out)
}

// The end of the context, or of the pool, takes no result away that is there.
func TestMapKeepsWhatItHas(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutSweeps(t) // which would deliver it in the end
	for _, chunk := range []int{1, 10} {
		x := newExchange(t)
		p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: time.Millisecond})
		in := make([]cue, 10)
		for i := range in {
			in[i].N = i
		}
		in[5].Addr = x.addr
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("no time")
		go func() {
			x.enter(t).say(t, "hang") // those before it are done
			cancel(why)
		}()
		out, err := mixed.Map(ctx, p, in, &proc.MapOptions{KeepGoing: true, Chunk: chunk})
		require.ErrorIs(t, err, why)
		require.Equal(t, []int{0, 1, 2, 3, 4, 0, 0, 0, 0, 0}, out)
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 5)
		for i, e := range failed {
			require.Equal(t, &proc.TaskError{Func: "mixed", Index: 5 + i, Worker: -1, Err: why}, e)
		}
		out, err = mixed.Map(ctx, p, in, &proc.MapOptions{KeepGoing: true})
		require.Equal(t, why, err, "a call that never began")
		require.Nil(t, out)

		go func() {
			x.enter(t)
			if err := p.Terminate(); err != nil {
				t.Error(err)
			}
		}()
		out, err = mixed.Map(t.Context(), p, in, &proc.MapOptions{KeepGoing: true, Chunk: chunk})
		require.ErrorIs(t, err, proc.ErrPoolTerminated)
		require.ErrorAs(t, err, &failed)
		require.Len(t, out, 10)
		for i, got := range out {
			if failed.At(i) == nil {
				require.Equal(t, in[i].N, got)
				require.Less(t, i, 5)
			}
		}
		require.NoError(t, p.Terminate()) // it has ended before there are sweeps again
	}
}

// The end of the pool leaves a call with KeepGoing what is committed by then: the
// parent sleeps while there is enough to do.
func TestMapKeepsWhatItHasAtTheEndOfThePool(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutSweeps(t)
	const before = 20
	for range 5 { // in some of which the parent has not looked
		x := newExchange(t)
		p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: time.Millisecond})
		in := make([]cue, 200)
		for i := range in {
			in[i].N = i + 1
		}
		in[before].Addr = x.addr
		go func() {
			x.enter(t) // those before it are committed
			if err := p.Terminate(); err != nil {
				t.Error(err)
			}
		}()
		out, err := mixed.Map(t.Context(), p, in, &proc.MapOptions{KeepGoing: true, Chunk: 1})
		require.ErrorIs(t, err, proc.ErrPoolTerminated)
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, len(in)-before)
		for i := range before {
			require.Equal(t, i+1, out[i])
		}
	}
}

func TestMapContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no time")
	done := make(chan error)
	go func() {
		_, err := puppet.Map(ctx, p, x.cues(3), nil)
		done <- err
	}()
	player := x.enter(t)
	player.say(t, "obey")
	cancel(why)
	require.ErrorIs(t, <-done, why)
	player.expect(t, "proc: the task was cancelled")
	works(t, p)
	for _, err := range square.Stream(ctx, p, forever, nil) {
		require.ErrorIs(t, err, why)
	}
	_, err := square.Map(ctx, p, nil, nil)
	require.ErrorIs(t, err, why)
}

// Calls share the pool, and one that waits does not hold up the others.
func TestSeveralCallsAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	slowInput, results := make(chan int), make(chan int)
	go func() {
		defer close(results)
		in := func(yield func(int) bool) {
			for v := range slowInput {
				if !yield(v) {
					return
				}
			}
		}
		for got, err := range square.Stream(t.Context(), p, in, nil) {
			if err != nil {
				t.Error(err)
			}
			results <- got
		}
	}()
	for i := range 5 {
		works(t, p)
		slowInput <- i
		works(t, p)
		require.Equal(t, i*i, <-results)
	}
	close(slowInput)
	_, open := <-results
	require.False(t, open)
}
