package proc_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// oneByOne are inputs each of which waits for the result of the one before, a token in
// done.
func oneByOne(n int, done <-chan struct{}) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if i > 0 {
				<-done
			}
			if !yield(i) {
				return
			}
		}
	}
}

// What was withdrawn lies in the ring until a worker passes it. Nobody may wait for
// more inputs to come because of that.
func TestInputBehindWithdrawnChunks(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutQuiet(t)
	x := newExchange(t)
	entered := make(chan struct{})
	go func() {
		x.enter(t).say(t, "return")
		close(entered)
	}()
	p := newPool(t, &proc.PoolOptions{Workers: 1, Init: puppet.With(cue{x.addr, 1})})
	<-entered
	childNamed(t, "Worker-0").Kill()
	next := x.enter(t) // nobody is ready
	withdrawn := square.Submit(t.Context(), p, 1)
	withdrawn.Cancel()
	<-withdrawn.Done()
	done := make(chan struct{}, 1)
	fed := make(chan struct{})
	go func() {
		<-fed
		next.say(t, "return")
	}()
	n := 0
	for r, err := range square.Stream(t.Context(), p, func(yield func(int) bool) {
		for i := range oneByOne(3, done) {
			if !yield(i) {
				return
			}
			if i == 0 {
				close(fed)
			}
		}
	}, &proc.MapOptions{Chunk: 10, Window: 5}) {
		require.NoError(t, err)
		require.Equal(t, n*n, r)
		n++
		done <- struct{}{}
	}
	require.Equal(t, 3, n)
}

// A call that has stopped and has a task under way does not keep the turn of others.
func TestTurnOfWhoHasStopped(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithoutSweeps(t) // which would publish it in the end
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: never})
	ctx, cancel := context.WithCancel(t.Context())
	full := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range puppet.MapUnordered(ctx, p, func(yield func(cue) bool) {
			for i := range 600 { // more than there are slots
				if !yield(cue{x.addr, i}) {
					return
				}
			}
			close(full)
			<-ctx.Done()
		}, &proc.MapOptions{Chunk: 1, Window: 1000}) {
		}
	}()
	player := x.enter(t)
	<-full
	f := square.Submit(t.Context(), p, 3)
	cancel()
	<-stopped
	require.NoError(t, p.Resize(2))
	<-f.Done()
	player.say(t, "return")
	got, err := f.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, got)
}
