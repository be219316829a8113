package shm

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

// deep hides a T below arrays and structs.
type deep[T any] struct {
	Flag  bool
	Inner [2]struct {
		Number float64
		Bad    T
	}
}

func refusedEverywhere[T any](t *testing.T, path, why string) {
	t.Helper()
	s := testSegment(t, 4096)
	_, placeErr := Place[deep[T]](s, 0)
	_, sliceErr := PlaceSlice[deep[T]](s, 0, 0)
	_, arrayErr := NewArray[deep[T]](0, nil)
	_, ofErr := ArrayOf([]deep[T]{}, nil)
	_, valueErr := NewValue(deep[T]{}, nil)
	for _, err := range []error{placeErr, sliceErr, arrayErr, ofErr, valueErr} {
		require.ErrorIs(t, err, ErrType)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, why)
		require.Equal(t, 1, strings.Count(err.Error(), "shm: "), err)
	}
}

func TestTypesThatCannotBeShared(t *testing.T) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, string, string)
		why  string
	}{
		{"pointer", refusedEverywhere[*int], "a pointer"},
		{"map", refusedEverywhere[map[int]int], "a pointer"},
		{"slice", refusedEverywhere[[]byte], "a pointer"},
		{"string", refusedEverywhere[string], "a pointer"},
		{"chan", refusedEverywhere[chan int], "a pointer"},
		{"func", refusedEverywhere[func()], "a pointer"},
		{"interface", refusedEverywhere[any], "a pointer"},
		{"error", refusedEverywhere[error], "a pointer"},
		{"uintptr", refusedEverywhere[uintptr], "an address means nothing"},
		{"std mutex", refusedEverywhere[sync.Mutex], "use psync.Mutex (github.com/go-multiproc/multiproc/sync)"},
		{"std wait group", refusedEverywhere[sync.WaitGroup], "one process only"},
		{"atomic pointer", refusedEverywhere[atomic.Pointer[int]], "a pointer"},
		{"atomic value", refusedEverywhere[atomic.Value], "a pointer"},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, ".Inner[].Bad", tt.why) })
	}
}

func TestPlaceTypesThatCanBeShared(t *testing.T) {
	s := testSegment(t, 256)
	p, err := Place[struct {
		Mu      psync.Mutex
		Counter atomic.Int64
		Numbers [3]complex128
		Flag    bool
	}](s, 64)
	require.NoError(t, err)
	p.Mu.Lock()
	p.Counter.Add(3)
	p.Numbers[2] = 1i
	p.Mu.Unlock()
	again, err := Place[int64](s, 72) // behind the lock
	require.NoError(t, err)
	require.EqualValues(t, 3, *again)
}

func TestPlaceRefusesTypesWithoutSize(t *testing.T) {
	s := testSegment(t, 8)
	_, err := Place[struct{}](s, 0)
	require.ErrorIs(t, err, ErrType)
	_, err = PlaceSlice[[0]int64](s, 0, 3)
	require.ErrorIs(t, err, ErrType)
	require.EqualError(t, err, `shm: segment "test": place [0]int64: type cannot be shared: [0]int64 has no size`)
}

func TestPlaceSliceBounds(t *testing.T) {
	const size = 40
	s := testSegment(t, size)
	for _, tt := range []struct {
		offset, n int
		ok        bool
	}{
		{0, 0, true}, {0, 1, true}, {0, 5, true}, {8, 4, true}, {32, 1, true}, {40, 0, true},
		{0, 6, false}, {8, 5, false}, {40, 1, false}, {48, 0, false},
		{4, 1, false}, {1, 0, false}, {33, 0, false}, // alignment
		{-8, 1, false}, {-8, 0, false}, {math.MinInt, 1, false},
		{0, -1, false}, {0, math.MaxInt, false}, {8, math.MaxInt/8 + 1, false}, {0, math.MinInt, false},
		{math.MaxInt - 7, 1, false}, {math.MaxInt - 7, 0, false},
	} {
		t.Run(fmt.Sprintf("%d elements at %d", tt.n, tt.offset), func(t *testing.T) {
			v, err := PlaceSlice[uint64](s, tt.offset, tt.n)
			if !tt.ok {
				require.ErrorIs(t, err, ErrSize)
				require.Nil(t, v)
				return
			}
			require.NoError(t, err)
			require.Len(t, v, tt.n)
			if tt.n > 0 {
				require.Equal(t, headerSize+tt.offset, offsetOf(t, s.mapping.Load(), v))
			}
		})
	}
}

func TestPlaceBoundsAndAlignment(t *testing.T) {
	s := testSegment(t, 11)
	at := func(offset int, place func(*Segment, int) error) error { return place(s, offset) }
	bytes := func(s *Segment, o int) error { _, err := Place[byte](s, o); return err }
	shorts := func(s *Segment, o int) error { _, err := Place[int16](s, o); return err }
	pairs := func(s *Segment, o int) error { _, err := Place[struct{ A, B int16 }](s, o); return err }
	longs := func(s *Segment, o int) error { _, err := Place[struct{ A int64 }](s, o); return err }

	require.NoError(t, at(10, bytes))
	require.ErrorIs(t, at(11, bytes), ErrSize)
	require.NoError(t, at(8, shorts))
	require.ErrorIs(t, at(9, shorts), ErrSize)
	require.ErrorIs(t, at(10, shorts), ErrSize) // half of it would lie outside
	require.NoError(t, at(6, pairs))
	require.ErrorIs(t, at(8, pairs), ErrSize)
	require.NoError(t, at(0, longs))
	require.ErrorIs(t, at(4, longs), ErrSize)
	require.EqualError(t, at(4, longs), `shm: segment "test": place struct { A int64 }: wrong size: offset 4 is not a multiple of 8`)
}
