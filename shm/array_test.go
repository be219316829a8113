package shm

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

type point struct {
	X, Y int32
	Tag  [3]byte
	On   bool
}

func TestNewArrayIsZero(t *testing.T) {
	proctest.NoLeaks(t)
	for _, n := range []int{0, 1, 1000} {
		a, err := NewArray[point](n, nil)
		require.NoError(t, err)
		require.Equal(t, n, a.Len())
		require.Equal(t, make([]point, n), a.Copy())
		require.Len(t, a.View(), n)
		require.Equal(t, 1, mapped(t, "shm.point"))
		require.NoError(t, a.Close())
		require.Zero(t, mapped(t, "shm.point"))
	}
}

func TestArrayOfCopies(t *testing.T) {
	values := []point{{X: 1, Tag: [3]byte{1, 2, 3}}, {Y: -1, On: true}}
	a := testArray(t, &Options{Name: "points"}, values...)
	require.Equal(t, values, a.Copy())
	values[0].X = 99
	require.EqualValues(t, 1, a.At(0).X)
	require.Equal(t, 1, mapped(t, "points"))
	require.Equal(t, "shm.Array[shm.point](2)", a.String())

	require.Zero(t, testArray[int32](t, nil).Len())
}

func TestNewArrayRefuses(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range []struct {
		name string
		n    int
		want error
	}{
		{"negative", -1, ErrSize},
		{"most negative", math.MinInt, ErrSize},
		{"more bytes than an int", math.MaxInt/8 + 1, ErrSize},
		{"no room for the header", math.MaxInt / 8, ErrSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := NewArray[int64](tt.n, nil)
			require.Nil(t, a)
			require.ErrorIs(t, err, tt.want)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "create", e.Op)
			require.Equal(t, 1, strings.Count(err.Error(), "shm: "), err)
		})
	}
	_, err := NewArray[int64](1<<52, nil)
	require.ErrorContains(t, err, `shm: array "int64": create: `)
	_, err = NewArray[int64](1, &Options{Name: strings.Repeat("n", 250)})
	require.ErrorContains(t, err, "memfd_create")
	require.Empty(t, mappings.byKey)
}

func TestAtAndSet(t *testing.T) {
	a := testArray(t, nil, 10, 20, 30)
	for i, want := range map[int]int{0: 10, 1: 20, 2: 30, -1: 30, -2: 20, -3: 10} {
		require.Equal(t, want, a.At(i))
	}
	a.Set(-1, 33)
	a.Set(0, 11)
	require.Equal(t, []int{11, 20, 33}, a.Copy())
	require.Equal(t, []int{11, 20, 33}, a.View())
}

func TestIndexOutOfRange(t *testing.T) {
	some, none := testArray(t, nil, 10, 20, 30), testArray[int](t, nil)
	for _, i := range []int{3, -4, math.MaxInt, math.MinInt} {
		for _, a := range []*Array[int]{some, none} {
			for _, fn := range []func(){
				func() { a.At(i) },
				func() { a.Set(i, 1) },
				func() { Add(a, i, 1) },
				func() { CompareAndSwap(a, i, 0, 1) },
			} {
				require.ErrorIs(t, panicOf(t, fn), ErrIndex)
			}
		}
	}
	require.ErrorIs(t, panicOf(t, func() { none.At(0) }), ErrIndex)
	require.EqualError(t, panicOf(t, func() { some.At(-4) }), `shm: array "int": element -4: index out of range: there are 3`)
	require.Equal(t, []int{10, 20, 30}, some.Copy())
	require.False(t, held(some), "the lock must be free after a wrong index")
}

// held reports whether anybody has the lock of an array or value.
func held(o interface{ Locker() psync.Locker }) bool {
	_, held := o.Locker().Holder()
	return held
}

func TestDo(t *testing.T) {
	a := testArray(t, nil, 1, 2, 3)
	a.Do(func(v []int) {
		require.True(t, held(a))
		for i := range v {
			v[i] *= a.At(i) // the lock is recursive
		}
	})
	require.False(t, held(a))
	require.Equal(t, []int{1, 4, 9}, a.Copy())
}

func TestDoUnlocksOnPanic(t *testing.T) {
	boom := errors.New("boom")
	a := testArray(t, nil, 1)
	require.Equal(t, boom, panicOf(t, func() { a.Do(func([]int) { panic(boom) }) }))
	require.False(t, held(a))
	require.Equal(t, boom, panicOf(t, func() { _ = a.DoContext(t.Context(), func([]int) { panic(boom) }) }))
	require.False(t, held(a))
}

func TestDoContext(t *testing.T) {
	a := testArray(t, nil, 1)
	require.NoError(t, a.DoContext(t.Context(), func(v []int) { v[0]++ }))
	require.Equal(t, 2, a.At(0))

	// With another goroutine in the way it waits, until the context ends.
	locked, finish, finished := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		a.Do(func([]int) {
			close(locked)
			<-finish
		})
		close(finished)
	}()
	<-locked
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- a.DoContext(ctx, func(v []int) { v[0] = 0 }) }()
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	require.Equal(t, 2, a.View()[0])
	require.False(t, a.TryLock())
	close(finish)
	<-finished
}

func TestView(t *testing.T) {
	a := testArray(t, nil, 1, 2)
	v := a.View()
	v[0] = 7
	require.Equal(t, 7, a.At(0))
	_ = append(v, 8) // a copy: the array has no room behind it
	require.Equal(t, 2, cap(v))
	require.Same(t, &v[0], &a.View()[0])
}

func TestAll(t *testing.T) {
	a := testArray(t, nil, 5, 6, 7)
	var got [][2]int
	for i, v := range a.All() {
		require.False(t, held(a), "the lock is taken for each element, not for the walk")
		got = append(got, [2]int{i, v})
		if i == 0 {
			a.Set(2, 70) // a walk, not a snapshot
		}
	}
	require.Equal(t, [][2]int{{0, 5}, {1, 6}, {2, 70}}, got)

	got = nil
	for i, v := range a.All() {
		got = append(got, [2]int{i, v})
		break
	}
	require.Equal(t, [][2]int{{0, 5}}, got)
}

func TestClosedArray(t *testing.T) {
	proctest.NoLeaks(t)
	a, err := ArrayOf([]byte{1, 2}, nil)
	require.NoError(t, err)
	walk := a.All()
	require.NoError(t, a.Close())
	err = a.Close()
	require.ErrorIs(t, err, ErrClosed)
	require.EqualError(t, err, `shm: array "uint8": close: closed`)
	require.Zero(t, a.Len())
	require.Nil(t, a.Locker())
	require.Equal(t, "shm.Array[uint8](0)", a.String())
	for _, err := range []error{
		a.DoContext(t.Context(), func([]byte) { t.Error("it ran") }), a.Assign(nil), a.LockContext(t.Context()), SetText(a, []byte("text")),
	} {
		require.ErrorIs(t, err, ErrClosed)
	}
	for name, fn := range map[string]func(){
		"At":             func() { a.At(0) },
		"Set":            func() { a.Set(0, 1) },
		"Do":             func() { a.Do(func([]byte) { t.Error("it ran") }) },
		"View":           func() { a.View() },
		"Copy":           func() { a.Copy() },
		"All":            func() { a.All()(func(int, byte) bool { return true }) },
		"All before":     func() { walk(func(int, byte) bool { return true }) },
		"Lock":           func() { a.Lock() },
		"Unlock":         func() { a.Unlock() },
		"TryLock":        func() { a.TryLock() },
		"MarkConsistent": func() { a.MarkConsistent() },
		"Text":           func() { Text(a) },
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, panicOf(t, fn), ErrClosed) })
	}
}
