package proc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// An input that cannot travel fails by itself, at its place.
func TestInputThatCannotTravel(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	in := make([]*ring, 100)
	for _, i := range []int{0, 20, 21, 50, 99} {
		in[i] = cycle()
	}
	for _, chunk := range []int{0, 1, 7, 100} {
		_, err := follow.Map(t.Context(), p, in, &proc.MapOptions{KeepGoing: true, Chunk: chunk})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		var at []int
		for _, e := range failed {
			at = append(at, e.Index)
			require.Equal(t, -1, e.Worker)
			require.Zero(t, e.Attempts)
			require.ErrorContains(t, e, "encode the argument: ")
		}
		require.Equal(t, []int{0, 20, 21, 50, 99}, at, "chunk %d", chunk)
	}
	_, err := follow.Map(t.Context(), p, in[19:], nil)
	require.Equal(t, 1, taskError(t, err).Index)
	_, err = follow.Submit(t.Context(), p, cycle()).Get(t.Context())
	require.Equal(t, 0, taskError(t, err).Index)
}

// Those behind it keep their numbers, also when they wait for a worker together.
func TestInputsBehindOneThatCannotTravel(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	busy := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	in := func(yield func(sized) bool) {
		for i := range 40 {
			v := sized{N: i}
			if i%10 == 5 {
				v.Tail = cycle()
			}
			if !yield(v) {
				return
			}
		}
		_ = player.tell("return") // this is no goroutine to fail in
	}
	n := 0
	for got, err := range unsize.Stream(t.Context(), p, in, &proc.MapOptions{Chunk: 20, Window: 100}) {
		if n%10 == 5 {
			require.Equal(t, n, taskError(t, err).Index)
		} else {
			require.NoError(t, err)
			require.Equal(t, n, got)
		}
		n++
	}
	require.Equal(t, 40, n)
	_, err := busy.Get(t.Context())
	require.NoError(t, err)
}

// A sized value says which one it is.
type sized struct {
	N    int
	Data []byte
	Tail *ring
}

var unsize = proc.Register("unsize", func(_ context.Context, s sized) (int, error) { return s.N, nil })

// Some inputs lie in the slots, and some are fetched, in one call.
func TestInputsOfAllSizes(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var in []sized
	for i := range 60 {
		in = append(in, sized{N: i, Data: make([]byte, (i%5)*(i%5)*5000)})
	}
	for _, chunk := range []int{0, 1, 20} {
		out, err := unsize.Map(t.Context(), p, in, &proc.MapOptions{Chunk: chunk})
		require.NoError(t, err)
		require.Equal(t, numbers(60), out)
	}
}

// A task may keep its argument, and change it.
func TestArgumentBelongsToTheTask(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	in := make([][]int32, 300)
	for i := range in {
		in[i] = []int32{int32(i), int32(i)}
	}
	for _, chunk := range []int{1, 100} {
		out, err := keepArgument.Map(t.Context(), p, in, &proc.MapOptions{Chunk: chunk})
		require.NoError(t, err)
		for i, got := range out {
			require.EqualValues(t, i, got)
		}
	}
}

var arguments [][]int32

// keepArgument checks that the arguments of earlier tasks are as it left them.
var keepArgument = proc.Register("keep argument", func(_ context.Context, v []int32) (int32, error) {
	v[1] = -v[0]
	arguments = append(arguments, v)
	for _, earlier := range arguments {
		if earlier[0] != -earlier[1] {
			return 0, fmt.Errorf("an earlier argument is %v now", earlier)
		}
	}
	return v[0], nil
})

// Arrays in arguments and results arrive attached; the caller closes its own.
func TestSharedObjectsInTasks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	a := newArray(t, 1, 2, 3)
	sums, err := sumAndClose.Map(t.Context(), p, slices.Repeat([]*shm.Array[int32]{a}, 50), nil)
	require.NoError(t, err)
	require.Equal(t, slices.Repeat([]int32{6}, 50), sums)
	made, err := makeShared.Map(t.Context(), p, []int{4, 5, 6}, nil)
	require.NoError(t, err)
	for i, m := range made {
		require.Equal(t, 4+i, m.Numbers.Len())
		require.NoError(t, errors.Join(m.Numbers.Close(), m.Total["total"].Close()))
	}
}

// An end of a pipe moves to the worker, or comes from it.
func TestPipesInTasks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	a, b := newPipe[int](t, nil)
	f := answer.Submit(t.Context(), p, b)
	require.NoError(t, b.Close())
	exchangeInts(t, a, 1, 2, 3)
	require.NoError(t, a.Close())
	_, err := f.Get(t.Context())
	require.NoError(t, err)

	ends, err := count.Map(t.Context(), p, []int{3, 4}, nil)
	require.NoError(t, err)
	for n, end := range ends {
		for i := range 3 + n {
			v, err := end.Recv(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, v)
		}
		require.NoError(t, end.Close())
	}
}

// What dies with a result in its hand, or with an end of a pipe, is no riddle.
func TestPipeOfKilledWorker(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	a, b := newPipe[int](t, nil)
	f := answer.Submit(t.Context(), p, b)
	require.NoError(t, b.Close())
	exchangeInts(t, a, 1)
	require.NoError(t, unix.Kill(proc.Children()[0].Pid(), unix.SIGKILL))
	_, err := f.Get(t.Context())
	require.Equal(t, -9, died(t, err).Code)
	_, err = a.Recv(t.Context())
	require.ErrorIs(t, err, io.EOF)
}

// Large values go beside the slots, both ways.
func TestLargeValues(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, size := range []int{16 << 10, 64 << 10, 1 << 20, large} {
		in := [][]byte{pattern(size), pattern(size + 1), nil}
		for _, chunk := range []int{1, 3} {
			sums, err := digest.Map(t.Context(), p, in, &proc.MapOptions{Chunk: chunk})
			require.NoError(t, err)
			for i, sum := range sums {
				require.Equal(t, sha256.Sum256(in[i]), sum)
			}
			out, err := produce.Map(t.Context(), p, []int{size, 3, size + 1}, &proc.MapOptions{Chunk: chunk})
			require.NoError(t, err)
			for i, n := range []int{size, 3, size + 1} {
				require.Equal(t, n, len(out[i]))
				require.True(t, bytes.Equal(pattern(n), out[i]))
			}
		}
	}
}

// A result that cannot be encoded is that task's error, and the worker lives.
func TestResultThatCannotTravel(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	pid := proc.Children()[0].Pid()
	_, err := bite.Submit(t.Context(), p, struct{}{}).Get(t.Context())
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Contains(t, remote.Text, "encode the result of bite: ")
	works(t, p)
	require.Equal(t, pid, proc.Children()[0].Pid())
}

// An error of any length arrives.
func TestLongErrors(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	in := []int{10, 100_000, 50_000, 1 << 20}
	for _, chunk := range []int{1, 4} {
		_, err := complain.Map(t.Context(), p, in, &proc.MapOptions{KeepGoing: true, Chunk: chunk})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, 4)
		for i, e := range failed {
			var remote *proc.RemoteError
			require.ErrorAs(t, e, &remote)
			require.Equal(t, strings.Repeat("x", in[i]), remote.Text)
		}
	}
}

var complain = proc.RegisterTask("complain", func(_ context.Context, n int) error { return errors.New(strings.Repeat("x", n)) })

var sumAndClose = proc.Register("sum and close", func(_ context.Context, a *shm.Array[int32]) (sum int32, err error) {
	for i := range a.Len() {
		sum += a.At(i)
	}
	return sum, a.Close()
})
