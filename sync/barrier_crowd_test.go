package sync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

var regiment = proctest.Register("regiment", func(h *proctest.Helper) error {
	y, err := enter[yard](h)
	if err != nil {
		return err
	}
	var rounds, each int
	if _, err := fmt.Sscan(h.Args[0]+" "+h.Args[1], &rounds, &each); err != nil {
		return err
	}
	h.Ready()
	return drill(y, rounds, each)
})

// drill has goroutines of this process meet in many rounds.
func drill(y *yard, rounds, goroutines int) error {
	var all sync.WaitGroup
	failures := make([]error, goroutines)
	for g := range goroutines {
		all.Go(func() {
			if outcome := meet(y, rounds); outcome != "ok" {
				failures[g] = errors.New(outcome)
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// Who is slow to learn that its round is over does not wait for another goroutine
// of its process that sleeps in the next round already. That one may wait for it.
func TestBarrierSlowAtTheGate(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	b := &y.Barrier
	slow := newHesitant(t)
	wait := func(ctx context.Context) <-chan string {
		outcome := make(chan string)
		go func() { outcome <- arrival(b.Wait(ctx)) }()
		return outcome
	}
	first := wait(slow)
	await(t, "the gate", slow.here)
	other := party.Start(t, []*os.File{file})
	ask(t, other, "wait", "1")
	next := wait(t.Context())
	awaitTrueSleeper(t, os.Getpid())
	close(slow.goOn)
	require.Equal(t, "0", await(t, "who was slow", first))
	ask(t, other, "wait", "1")
	require.Equal(t, "0", await(t, "the next round", next))
}

// Rounds of which nobody knows who takes part: many callers for few places.
func TestBarrierManyForFewPlaces(t *testing.T) {
	y, _ := fenced(t, 2)
	const callers, calls = 16, 1600
	var all sync.WaitGroup
	var begun, sum atomic.Int64
	for range callers {
		all.Go(func() {
			for begun.Add(1) <= calls {
				index, err := y.Barrier.Wait(context.Background())
				if err != nil {
					panic(err)
				}
				sum.Add(int64(index))
			}
		})
	}
	all.Wait()
	require.EqualValues(t, calls/2, sum.Load())
}

// Thousands of goroutines inside cost a handful of threads.
func TestBarrierCrowd(t *testing.T) {
	const crowd = 10_000
	y, _ := fenced(t, crowd+1)
	before := threads(t)
	var all sync.WaitGroup
	var sum atomic.Int64
	for range crowd {
		all.Go(func() {
			index, err := y.Barrier.Wait(context.Background())
			if err != nil {
				panic(err)
			}
			sum.Add(int64(index))
		})
	}
	awaitInside(&y.Barrier, crowd)
	require.LessOrEqual(t, threads(t), before+8)
	_, err := y.Barrier.Wait(t.Context())
	require.NoError(t, err)
	all.Wait()
	require.EqualValues(t, crowd*(crowd-1)/2, sum.Load())
}

// A round of two goroutines, and of two processes.
func BenchmarkBarrier(b *testing.B) {
	b.Run("goroutines", func(b *testing.B) {
		y, _ := fenced(b, 2)
		done := make(chan string)
		go func() { done <- hasten(y, b.N) }()
		require.Equal(b, "ok", hasten(y, b.N))
		require.Equal(b, "ok", <-done)
	})
	b.Run("processes", func(b *testing.B) {
		y, file := fenced(b, 2)
		other := party.Start(b, []*os.File{file})
		other.Tell(b, fmt.Sprintf("hasten %d", b.N))
		require.Equal(b, "ok", hasten(y, b.N))
		other.Expect(b, "ok")
	})
}

// Std has no barrier. What comes closest is to meet through two channels.
func BenchmarkBarrierStdChannels(b *testing.B) {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range b.N {
			<-there
			back <- struct{}{}
		}
	}()
	for range b.N {
		there <- struct{}{}
		<-back
	}
}
