package proc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// The context may also end in the middle of a stream.
func TestStreamContext(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		n, last := 0, error(nil)
		for got, err := range square.Stream(ctx, p, forever, nil) {
			if err != nil {
				last = err
				continue
			}
			require.NoError(t, last, "a result behind the end")
			require.Equal(t, n*n, got)
			if n++; n == 20 {
				cancel()
			}
		}
		require.Equal(t, context.Canceled, last)
		cancel()
	}
	works(t, p)
}

func TestStreamOrder(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, chunk := range []int{0, 1, 5} {
		n := 0
		for got, err := range failThirds.Stream(t.Context(), p, slices.Values(numbers(1000)), &proc.MapOptions{Chunk: chunk}) {
			if n%3 == 2 {
				require.Equal(t, n, taskError(t, err).Index)
			} else {
				require.NoError(t, err)
				require.Equal(t, n*n, got)
			}
			n++
		}
		require.Equal(t, 1000, n)
		seen := make([]int, 1000)
		for r := range failThirds.MapUnordered(t.Context(), p, slices.Values(numbers(1000)), &proc.MapOptions{Chunk: chunk}) {
			seen[r.Index]++
			if r.Index%3 == 2 {
				require.Equal(t, r.Index, taskError(t, r.Err).Index)
			} else {
				require.NoError(t, r.Err)
				require.Equal(t, r.Index*r.Index, r.Value)
			}
		}
		require.Equal(t, slices.Repeat([]int{1}, 1000), seen)
	}
}

// counted counts how often an input is asked for a value.
func counted(reads *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; ; i++ {
			reads.Add(1)
			if !yield(i) {
				return
			}
		}
	}
}

// The input is read no further than Window, apart from the value that its
// reader has in hand.
func TestWindow(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, o := range []proc.MapOptions{{Window: 1}, {Window: 10}, {Window: 10, Chunk: 3}, {Window: 3, Chunk: 50}} {
		t.Run(fmt.Sprint(o.Window, o.Chunk), func(t *testing.T) {
			var reads atomic.Int64
			n := int64(0)
			for got, err := range square.Stream(t.Context(), p, counted(&reads), &o) {
				require.NoError(t, err)
				require.EqualValues(t, n*n, got)
				n++
				require.LessOrEqual(t, reads.Load(), n+int64(o.Window)+1)
				if n == 200 {
					break
				}
			}
			reads.Store(0)
			n = 0
			for r := range square.MapUnordered(t.Context(), p, counted(&reads), &o) {
				require.NoError(t, r.Err)
				n++
				require.LessOrEqual(t, reads.Load(), n+int64(o.Window)+1)
				if n == 200 {
					break
				}
			}
		})
	}
}

// A result that does not come keeps those behind it back, and the input too.
func TestWindowBehindSlowTask(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Grace: time.Millisecond}) // at the end there are others under way
	var reads atomic.Int64
	in := func(yield func(cue) bool) {
		for i := range 100 {
			reads.Add(1)
			if !yield(cue{x.addr, i}) {
				return
			}
		}
	}
	next, stop := iter.Pull2(puppet.Stream(t.Context(), p, in, &proc.MapOptions{Window: 5, Chunk: 1}))
	defer stop()
	type outcome struct {
		n   int
		err error
	}
	first := make(chan outcome)
	go func() {
		n, err, _ := next()
		first <- outcome{n, err}
	}()
	var slow player
	for range 5 { // the slow one and four others
		if player := x.enter(t); player.n == 0 {
			slow = player
		} else {
			player.say(t, "return")
		}
	}
	require.LessOrEqual(t, reads.Load(), int64(6))
	slow.say(t, "return")
	require.Equal(t, outcome{0, nil}, <-first)
}

// Ending the loop ends the call, whatever the input does.
func TestBreakOutOfStream(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	stuck := make(chan struct{})
	defer close(stuck)
	blocking := func(yield func(int) bool) {
		for i := range 10 {
			if !yield(i) {
				return
			}
		}
		<-stuck // "an input that waits for something is not waited for"
	}
	for name, in := range map[string]iter.Seq[int]{"endless": forever, "blocks": blocking} {
		t.Run(name, func(t *testing.T) {
			for most := 1; most < 10; most += 4 {
				n := 0
				for _, err := range square.Stream(t.Context(), p, in, nil) {
					require.NoError(t, err)
					if n++; n == most {
						break
					}
				}
				for r := range square.MapUnordered(t.Context(), p, in, nil) {
					require.NoError(t, r.Err)
					if n--; n == 0 {
						break
					}
				}
			}
			works(t, p)
		})
	}
	isQuiet(t, p)
}

// Descriptors in results that nobody takes are closed, also if all had come.
func TestBreakClosesResults(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for r := range makeShared.MapUnordered(t.Context(), p, slices.Values(numbers(20)[1:]), &proc.MapOptions{Window: 20}) {
		require.NoError(t, r.Err)
		require.NoError(t, errors.Join(r.Value.Numbers.Close(), r.Value.Total["total"].Close()))
		isQuiet(t, p)
		break
	}
}

// isQuiet waits until nothing is left of any call.
func isQuiet(t testing.TB, p *proc.Pool) {
	t.Helper()
	require.Eventually(t, func() bool { return p.String() == "pool of 2 workers (open, 0 calls)" }, patience, time.Millisecond)
}

// A task that is under way when the loop ends is cancelled.
func TestBreakCancelsTasks(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	var rest player
	go func() {
		first := x.enter(t)
		rest = x.enter(t)
		rest.say(t, "obey")
		first.say(t, "return")
	}()
	for r := range puppet.MapUnordered(t.Context(), p, slices.Values(x.cues(10)), &proc.MapOptions{Chunk: 1, Window: 2}) {
		require.NoError(t, r.Err)
		break
	}
	rest.expect(t, "proc: the task was cancelled")
	works(t, p)
}

func TestInputPanics(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, after := range []int{0, 1, 500} {
		bad := func(yield func(int) bool) {
			for i := range after {
				if !yield(i) {
					return
				}
			}
			panic("the input is bad")
		}
		panicsWith(t, "the input is bad", func() {
			for _, err := range square.Stream(t.Context(), p, bad, nil) {
				require.NoError(t, err)
			}
		})
		panicsWith(t, "the input is bad", func() {
			for range square.MapUnordered(t.Context(), p, bad, nil) {
			}
		})
		works(t, p)
	}
}

// A panic in the loop, or in Progress, passes through, and ends the call.
func TestLoopPanics(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	require.PanicsWithValue(t, "loop", func() {
		for _, err := range square.Stream(t.Context(), p, forever, nil) {
			require.NoError(t, err)
			panic("loop")
		}
	})
	require.PanicsWithValue(t, "progress", func() {
		_, _ = square.Map(t.Context(), p, numbers(10), &proc.MapOptions{Progress: func(proc.Progress) { panic("progress") }})
	})
	isQuiet(t, p)
	works(t, p)
}

func TestProgress(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var last proc.Progress
	progress := func(now proc.Progress) {
		require.GreaterOrEqual(t, now.Done, last.Done)
		last = now
	}
	_, err := square.Map(t.Context(), p, numbers(100), &proc.MapOptions{Progress: progress})
	require.NoError(t, err)
	require.Equal(t, proc.Progress{Done: 100, Total: 100}, last)
	last = proc.Progress{}
	for _, err := range square.Stream(t.Context(), p, slices.Values(numbers(50)), &proc.MapOptions{Progress: progress}) {
		require.NoError(t, err)
	}
	require.Equal(t, proc.Progress{Done: 50, Total: 50}, last)

	marks := newArray(t, make([]int32, 100)...)
	for name, schedule := range schedules {
		o := proc.ForOptions{Progress: progress}
		if schedule != nil {
			o.Schedule, o.Chunk = schedule.Schedule, schedule.Chunk
		}
		for _, n := range []int{0, 1, 100} {
			var all []proc.Progress
			o.Progress = func(now proc.Progress) { all = append(all, now) }
			require.NoError(t, proc.For(t.Context(), p, n, plough, field{Marks: marks}, &o))
			require.NotEmpty(t, all, name)
			require.Equal(t, proc.Progress{Done: n, Total: n}, all[len(all)-1], name)
			for i := range all[1:] {
				require.Less(t, all[i].Done, all[i+1].Done, name)
			}
		}
	}
	last = proc.Progress{}
	_, err = proc.Reduce(t.Context(), p, 100, plough, field{Marks: marks}, 0, func(a, b int) int { return a + b }, &proc.ForOptions{Progress: progress})
	require.NoError(t, err)
	require.Equal(t, proc.Progress{Done: 100, Total: 100}, last)
}

// Who loops over results may end the pool, in Progress, too: the loop ends, and
// Terminate does not wait for it.
func TestTerminateInTheLoop(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var last error
	for _, err := range square.Stream(t.Context(), p, forever, nil) {
		if last = err; err == nil {
			require.NoError(t, p.Terminate())
		}
	}
	require.ErrorIs(t, last, proc.ErrPoolTerminated)
	p = newPool(t, nil)
	for r := range square.MapUnordered(t.Context(), p, forever, &proc.MapOptions{Progress: func(proc.Progress) { _ = p.Terminate() }}) {
		last = r.Err
	}
	require.ErrorIs(t, last, proc.ErrPoolTerminated)
}
