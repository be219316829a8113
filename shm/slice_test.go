package shm

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// python is what CPython answers for list(range(n))[start:stop:step].
var python = []struct {
	n, start, stop, step int
	want                 []int
}{
	{5, Omit, Omit, Omit, []int{0, 1, 2, 3, 4}},
	{5, 2, Omit, Omit, []int{2, 3, 4}},
	{5, 0, -1, Omit, []int{0, 1, 2, 3}},
	{5, Omit, Omit, -1, []int{4, 3, 2, 1, 0}},
	{5, -10, Omit, 3, []int{0, 3}},
	{5, 1, 4, 2, []int{1, 3}},
	{5, 4, 1, -1, []int{4, 3, 2}},
	{5, -1, -4, -2, []int{4, 2}},
	{5, 10, -10, -1, []int{4, 3, 2, 1, 0}},
	{5, 10, -10, -3, []int{4, 1}},
	{5, 3, 3, 1, []int{}},
	{5, 3, 1, 1, []int{}},
	{5, 1, 3, -1, []int{}},
	{5, Omit, -2, -1, []int{4}},
	{5, -2, Omit, -1, []int{3, 2, 1, 0}},
	{5, Omit, Omit, math.MaxInt, []int{0}},
	{5, Omit, Omit, -math.MaxInt, []int{4}},
	{5, math.MaxInt, -math.MaxInt, -1, []int{4, 3, 2, 1, 0}},
	{5, -math.MaxInt, math.MaxInt, 2, []int{0, 2, 4}},
	{0, Omit, Omit, -1, []int{}},
	{0, -1, 1, 1, []int{}},
	{1, Omit, Omit, -1, []int{0}},
	{1, -1, Omit, -5, []int{0}},
	{5, 5, Omit, -2, []int{4, 2, 0}},
	{5, -6, Omit, -1, []int{}},
	{5, -5, -6, -1, []int{0}},
	{5, Omit, 0, -1, []int{4, 3, 2, 1}},
}

// pythonSlice is the model: Python's slices in the words of its documentation,
// walked step by step.
func pythonSlice(n, start, stop, step int) []int {
	if step == Omit {
		step = 1
	}
	begin, end := 0, n // where a walk forwards begins and ends if nothing is said
	if step < 0 {
		begin, end = n-1, -1
	}
	if start != Omit {
		if start < 0 {
			start += n
		}
		if step > 0 {
			begin = max(start, 0)
		} else {
			begin = min(start, n-1)
		}
	}
	if stop != Omit {
		if end = stop; stop < 0 {
			end = stop + n
		}
	}
	indexes := []int{}
	for i := begin; 0 <= i && i < n && (step > 0 && i < end || step < 0 && i > end); i += step {
		indexes = append(indexes, i)
	}
	return indexes
}

func TestModelIsPython(t *testing.T) {
	for _, tt := range python {
		require.Equal(t, tt.want, pythonSlice(tt.n, tt.start, tt.stop, tt.step), "%+v", tt)
	}
}

// TestSlicesExhaustively compares Copy and Assign with the model for all short
// lengths, and all bounds and steps around them.
func TestSlicesExhaustively(t *testing.T) {
	const longest = 5
	bounds := []int{Omit, Omit + 1, math.MaxInt}
	steps := []int{Omit, Omit + 1, math.MaxInt}
	for b := -longest - 2; b <= longest+2; b++ {
		bounds = append(bounds, b)
		if b != 0 {
			steps = append(steps, b)
		}
	}
	for n := range longest + 1 {
		original := make([]int, n)
		for i := range original {
			original[i] = i
		}
		a := testArray(t, nil, original...)
		for _, start := range bounds {
			for _, stop := range bounds {
				for _, step := range steps {
					want := pythonSlice(n, start, stop, step)
					if got := a.Copy(start, stop, step); got == nil || !slices.Equal(got, want) {
						t.Fatalf("[%d:%d:%d] of %d elements: %v, want %v", start, stop, step, n, got, want)
					}
					checkAssign(t, a, original, want, start, stop, step)
				}
			}
		}
	}
}

// checkAssign assigns to the elements with these indexes, and puts them back.
func checkAssign(t *testing.T, a *Array[int], original, indexes []int, bounds ...int) {
	want := slices.Clone(original)
	values := make([]int, len(indexes))
	for k, i := range indexes {
		values[k] = 100 + k
		want[i] = values[k]
	}
	if err := a.Assign(append(values, 0), bounds...); err == nil || !slices.Equal(a.view, original) {
		t.Fatalf("one value too many for %v: %v, %v", bounds, err, a.view)
	}
	if len(values) > 0 {
		if err := a.Assign(values[1:], bounds...); err == nil || !slices.Equal(a.view, original) {
			t.Fatalf("one value too few for %v: %v, %v", bounds, err, a.view)
		}
	}
	if err := a.Assign(values, bounds...); err != nil || !slices.Equal(a.view, want) {
		t.Fatalf("assign to %v: %v, %v, want %v", bounds, err, a.view, want)
	}
	copy(a.view, original)
}

func TestBoundsMayBeLeftOut(t *testing.T) {
	a := testArray(t, nil, 0, 1, 2, 3, 4)
	require.Equal(t, []int{0, 1, 2, 3, 4}, a.Copy())
	require.Equal(t, []int{2, 3, 4}, a.Copy(2))
	require.Equal(t, []int{0, 1, 2, 3}, a.Copy(0, -1))
	require.Equal(t, []int{4, 3, 2, 1, 0}, a.Copy(Omit, Omit, -1))
	require.NoError(t, a.Assign([]int{13, 14}, -2))
	require.NoError(t, a.Assign([]int{10, 12}, Omit, 3, 2))
	require.Equal(t, []int{10, 1, 12, 13, 14}, a.Copy())
	require.NoError(t, a.Assign([]int{5, 6, 7, 8, 9}))
	require.Equal(t, []int{5, 6, 7, 8, 9}, a.Copy())
}

func TestWrongBounds(t *testing.T) {
	a := testArray(t, nil, 1, 2)
	require.EqualError(t, panicOf(t, func() { a.Copy(0, 1, 0) }), "shm: array: slice: a step of 0")
	require.EqualError(t, panicOf(t, func() { _ = a.Assign(nil, 0, 0, 0) }), "shm: array: slice: a step of 0")
	require.EqualError(t, panicOf(t, func() { a.Copy(0, 1, 1, 1) }), "shm: array: slice: 4 bounds instead of start, stop and step")
	err := a.Assign([]int{1, 2, 3})
	require.ErrorIs(t, err, ErrSize)
	require.EqualError(t, err, `shm: array "int": assign: wrong size: 3 values for 2 elements`)
	require.False(t, held(a))
}

// A copy is the caller's, and is taken under the lock.
func TestCopyIsIndependent(t *testing.T) {
	a := testArray(t, nil, 1, 2, 3)
	c := a.Copy()
	c[0] = 99
	require.Equal(t, 1, a.At(0))
	values := []int{4, 5, 6}
	require.NoError(t, a.Assign(values))
	values[0] = 99
	require.Equal(t, []int{4, 5, 6}, a.Copy())
	require.NoError(t, a.Assign(a.View(), Omit, Omit, 1)) // onto itself
	require.Equal(t, []int{4, 5, 6}, a.Copy())
}

// The values may lie in the array itself.
func TestAssignFromItself(t *testing.T) {
	for _, tt := range []struct {
		bounds []int
		values func(view []int) []int
		want   []int
	}{
		{[]int{Omit, Omit, -1}, func(v []int) []int { return v }, []int{6, 5, 4, 3, 2, 1}},
		{[]int{0, Omit, 2}, func(v []int) []int { return v[:3] }, []int{1, 2, 2, 4, 3, 6}},
		{[]int{1, Omit, 1}, func(v []int) []int { return v[:5] }, []int{1, 1, 2, 3, 4, 5}},
	} {
		a := testArray(t, nil, 1, 2, 3, 4, 5, 6)
		require.NoError(t, a.Assign(tt.values(a.View()), tt.bounds...))
		require.Equal(t, tt.want, a.View())
	}
}
