package shm

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

type ticks int32

func TestAddWrapsAround(t *testing.T) {
	small := testArray[int32](t, nil, 1, math.MaxInt32, 3)
	require.EqualValues(t, math.MinInt32, Add(small, 1, 1))
	require.Equal(t, []int32{1, math.MinInt32, 3}, small.Copy(), "neighbours stay")
	require.EqualValues(t, 1, Add(small, -1, -2))

	unsigned := testArray[uint32](t, nil, 0, 5, 5)
	require.EqualValues(t, math.MaxUint32, Add(unsigned, 0, math.MaxUint32))
	require.Equal(t, []uint32{math.MaxUint32, 5, 5}, unsigned.Copy())

	large := testArray[int64](t, nil, math.MinInt64, 5)
	require.EqualValues(t, math.MaxInt64, Add(large, 0, -1))
	require.Equal(t, uint64(0), Add(testArray[uint64](t, nil, math.MaxUint64), 0, 1))
	require.Equal(t, 1<<40, Add(testArray(t, nil, 0), 0, 1<<40))
	require.Equal(t, ^uint(0), Add(testArray[uint](t, nil, 0), 0, ^uint(0)))
	require.Equal(t, ticks(-3), Add(testArray[ticks](t, nil, -1), 0, -2))
}

func TestCompareAndSwap(t *testing.T) {
	a := testArray[int32](t, nil, 1, -2, 3)
	require.False(t, CompareAndSwap(a, 1, 2, 9))
	require.True(t, CompareAndSwap(a, -2, -2, 9))
	require.Equal(t, []int32{1, 9, 3}, a.Copy())
	b := testArray[uint64](t, nil, 1, 1<<32|2)
	require.False(t, CompareAndSwap(b, 1, 2, 9), "all 64 bits count")
	require.True(t, CompareAndSwap(b, 1, 1<<32|2, 1<<63))
	require.Equal(t, []uint64{1, 1 << 63}, b.Copy())
}

// They take no lock: who holds it is not in the way.
func TestAtomicsTakeNoLock(t *testing.T) {
	a := testArray[int64](t, nil, 1)
	a.Lock()
	defer a.Unlock()
	result := make(chan bool)
	go func() {
		Add(a, 0, 1)
		result <- CompareAndSwap(a, 0, 2, 3)
	}()
	require.True(t, <-result)
	require.EqualValues(t, 3, a.At(0))
}

func TestAtomicsOfClosedArray(t *testing.T) {
	a, err := NewArray[int64](1, nil)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.ErrorIs(t, panicOf(t, func() { Add(a, 0, 1) }), ErrClosed)
	require.ErrorIs(t, panicOf(t, func() { CompareAndSwap(a, 0, 0, 1) }), ErrClosed)
}

type counters struct {
	Small *Array[int32]
	Large *Array[uint64]
}

var counter = proctest.Register("counter", func(h *proctest.Helper) error {
	c, err := take[counters](h)
	if err != nil {
		return err
	}
	h.Ready()
	c.count()
	return nil
})

const turns = 100_000

func (c counters) count() {
	for range turns { // without a pause between two of them: a step that is not atomic must meet another
		Add(c.Small, 1, 3)
	}
	for range turns {
		Add(c.Large, 0, math.MaxUint64) // takes 1 away
		for {
			old := c.Large.View()[1]
			if CompareAndSwap(c.Large, 1, old, old+1) {
				break
			}
		}
	}
}

func TestAtomicsOfSeveralProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	c := counters{testArray[int32](t, nil, 7, 0, 7), testArray[uint64](t, nil, 0, 0)}
	var procs []*proctest.Proc
	for range 4 {
		procs = append(procs, hand(t, counter, c))
	}
	proctest.Gate(t, procs...)
	c.count()
	for _, p := range procs {
		require.NoError(t, p.Wait(t))
	}
	const n = 5 * turns
	require.Equal(t, []int32{7, 3 * n, 7}, c.Small.Copy())
	require.Equal(t, []uint64{math.MaxUint64 - n + 1, n}, c.Large.Copy())
}
