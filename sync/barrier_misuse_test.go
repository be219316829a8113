package sync_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

func TestBarrierInit(t *testing.T) {
	var b psync.Barrier
	_, err := b.Wait(t.Context())
	require.EqualError(t, err, "psync: a barrier is used before Init")
	require.EqualError(t, b.Register(), "psync: a barrier is used before Init")
	require.PanicsWithError(t, "psync: a barrier is used before Init", b.Abort)
	require.PanicsWithError(t, "psync: a barrier is used before Init", b.Reset)
	require.Zero(t, b.Parties())
	for _, n := range []int{-1, 0, 65536} {
		require.EqualError(t, b.Init(n), fmt.Sprintf("psync: a barrier cannot have %d parties, only 1 to 65535", n))
	}
	require.NoError(t, b.Init(65535))
	require.NoError(t, b.Init(65535))
	require.EqualError(t, b.Init(3), "psync: Init of a barrier for 3 parties, which is one for 65535 already")
	b.Abort()
	require.NoError(t, b.Init(65535), "a broken one has as many")
}

// With an ended context a party that is not the last breaks the barrier at once.
func TestBarrierEndedContext(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	p := party.Start(t, []*os.File{file})
	p.Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	index, err := y.Barrier.Wait(ended())
	require.NoError(t, err, "the last one need not wait")
	require.Equal(t, 1, index)
	p.Expect(t, "0")
	_, err = y.Barrier.Wait(ended())
	require.ErrorIs(t, err, context.Canceled)
	ask(t, p, "wait", "broken")
}

// Damaged memory is named, and Reset makes it good.
func TestBarrierDamaged(t *testing.T) {
	for _, damage := range []uint64{3, 2 << 32, 9 << 32, 1<<32 | 1, 1<<32 | 2, 1<<32 | 3, 1<<2 | 2} {
		t.Run(fmt.Sprintf("%#x", damage), func(t *testing.T) {
			y, _ := fenced(t, 2)
			barrierStateOf(&y.Barrier).Or(damage)
			_, err := y.Barrier.Wait(t.Context())
			require.EqualError(t, err, fmt.Sprintf("psync: the barrier's memory is damaged: %#016x cannot be its state", 2<<48|damage))
			y.Barrier.Reset()
			first := make(chan error, 1)
			go func() {
				_, err := y.Barrier.Wait(context.Background())
				first <- err
			}()
			_, err = y.Barrier.Wait(t.Context())
			require.NoError(t, err)
			require.NoError(t, await(t, "the other party", first))
		})
	}
	t.Run("cells", func(t *testing.T) {
		y, _ := fenced(t, 1)
		for i := range cellsOf(&y.Barrier) {
			cellsOf(&y.Barrier)[i].Store(1<<63 | uint64(i+1)<<14 | 0x3fff) // registered, and never born
		}
		_, err := y.Barrier.Wait(t.Context())
		require.EqualError(t, err, "psync: no place at the barrier: 62 processes are inside or registered")
		require.True(t, y.Barrier.Broken())
		y.Barrier.Reset()
		_, err = y.Barrier.Wait(t.Context())
		require.NoError(t, err)
	})
}

// A generation comes again after 2^29 rounds. If it was cut the first time, it is
// complete all the same.
func TestBarrierGenerationComesAgain(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 2)
	procs := parties(t, file, 2)
	y.Barrier.Reset()
	barrierStateOf(&y.Barrier).Store(2<<48 | (1<<29-1)<<3)
	for range 3 {
		tellAll(t, procs, "wait")
		indexes(t, procs)
	}
}

// What the barrier orders is no race: the detector knows nothing of shared memory.
func TestBarrierNoFalseRace(t *testing.T) {
	y, _ := fenced(t, 2)
	var written [2]int
	read := make([]int, 2)
	var all sync.WaitGroup
	acted := 0
	for me := range 2 {
		all.Go(func() {
			for round := range 50 {
				written[me] = round
				if _, err := y.Barrier.Wait(context.Background()); err != nil {
					panic(err)
				}
				read[me] = written[1-me]
				if _, err := y.Barrier.WaitAction(context.Background(), func() error {
					acted += read[0] + read[1]
					return nil
				}); err != nil {
					panic(err)
				}
				if acted != round*(round+1) {
					panic(fmt.Sprintf("round %d: %d", round, acted))
				}
				if _, err := y.Barrier.Wait(context.Background()); err != nil {
					panic(err)
				}
			}
		})
	}
	all.Wait()
}
