package shm

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Omit stands for a bound that is left out, as in Python's a[::-1], which is
// Copy(Omit, Omit, -1).
const Omit = math.MinInt

// Copy returns a copy of the elements, taken under the lock at one moment. Up
// to three bounds select them as Python's slices do: start, stop, step. Start
// and stop may be negative, which counts from the end, and out of range, which
// means as far as there are elements. The step may be negative, not 0.
//
//	a.Copy()            // all
//	a.Copy(2)           // from the third on
//	a.Copy(0, -1)       // all but the last
//	a.Copy(Omit, Omit, -1) // backwards
//
// It panics for more than three bounds, or a step of 0.
func (a *Array[T]) Copy(bounds ...int) []T {
	a.needOpen()
	a.needCopies()
	s := sliceOf(len(a.view), bounds)
	values := make([]T, s.n)
	a.enter()
	defer a.exit()
	if s.step == 1 {
		copy(values, a.view[s.start:])
		return values
	}
	for k := range values {
		values[k] = a.view[s.start+k*s.step]
	}
	return values
}

// Assign sets the elements that the bounds select, as in [Array.Copy], to the
// values, under the lock at one moment. There must be as many values as
// elements selected; otherwise nothing changes and the error is ErrSize.
func (a *Array[T]) Assign(values []T, bounds ...int) error {
	if a.mapping == nil {
		return a.fail("assign", errClosed)
	}
	a.needCopies()
	s := sliceOf(len(a.view), bounds)
	if len(values) != s.n {
		return a.fail("assign", fmt.Errorf("%w: %d values for %d elements", ErrSize, len(values), s.n))
	}
	a.enter()
	defer a.exit()
	if s.step == 1 {
		copy(a.view[s.start:], values)
		return nil
	}
	if len(values) > 0 && contains(a.mapping, &values[0]) { // they may be what is set
		values = slices.Clone(values)
	}
	for k, v := range values {
		a.view[s.start+k*s.step] = v
	}
	return nil
}

// A selection is n indexes: start, start+step, and so on.
type selection struct{ start, step, n int }

// sliceOf resolves bounds against a length, as Python's slice.indices does.
func sliceOf(length int, bounds []int) selection {
	if len(bounds) > 3 {
		panic(failed("array", "", "slice", fmt.Errorf("%d bounds instead of start, stop and step", len(bounds))))
	}
	b := [3]int{Omit, Omit, 1}
	copy(b[:], bounds)
	start, stop, step := b[0], b[1], b[2]
	if step == Omit {
		step = 1
	}
	if step == 0 {
		panic(failed("array", "", "slice", errors.New("a step of 0")))
	}
	// A walk forwards stays in [0, length], one backwards in [-1, length-1].
	low, high := 0, length
	if step < 0 {
		low, high = -1, length-1
	}
	start = resolve(start, length, low, high, step > 0)
	stop = resolve(stop, length, low, high, step < 0)
	n := 0
	switch {
	case step > 0 && start < stop:
		n = (stop-start-1)/step + 1
	case step < 0 && start > stop:
		n = (start-stop-1)/-step + 1
	}
	if n == 0 {
		return selection{step: 1}
	}
	return selection{start, step, n}
}

// resolve turns one bound into an index between low and high; an omitted one is
// the end at which the walk begins or stops.
func resolve(bound, length, low, high int, omittedIsLow bool) int {
	switch {
	case bound == Omit && omittedIsLow:
		return low
	case bound == Omit:
		return high
	case bound < 0:
		return max(bound+length, low)
	}
	return min(bound, high)
}
