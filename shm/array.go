package shm

import (
	"context"
	"fmt"
	"iter"
	"reflect"
)

// An Array is a fixed number of elements of type T that processes share, and a
// lock that guards them: Python's multiprocessing.Array.
//
// At, Set and their like take the lock for each access, so that single accesses
// exclude each other. What needs several, such as a[i] += 1, is done under Do,
// or between Lock and Unlock on the View. An index may be negative: -1 is the
// last element.
//
// If a process dies while it holds the lock, the lock is free at once, and its
// next user is told that the data may be half-changed: LockContext and
// DoContext return [psync.ErrOwnerDied]; methods without an error panic with a
// [*psync.OwnerDiedError], until somebody calls MarkConsistent.
//
// An Array travels to other processes in arguments and results, as *Array.
type Array[T any] struct {
	object[T]
}

// NewArray makes an array of n zero elements. The caller must Close it. Errors
// are of type [*Error]: ErrType for an element that cannot be shared, ErrSize
// for a length that is negative or that no address space holds, ENOMEM for one that
// cannot be mapped.
func NewArray[T any](n int, opts *Options) (*Array[T], error) {
	a := new(Array[T])
	if err := a.make(kindArray, n, opts); err != nil {
		return nil, err
	}
	a.cleanup = watchForgotten(a, a.mapping)
	return a, nil
}

// ArrayOf makes an array with the given elements; otherwise it is like
// [NewArray].
func ArrayOf[T any](values []T, opts *Options) (*Array[T], error) {
	a, err := NewArray[T](len(values), opts)
	if err != nil {
		return nil, err
	}
	if a.primitive != "" {
		err := a.fail("create", a.errCopies())
		_ = a.Close() // the error at hand says more
		return nil, err
	}
	copy(a.view, values)
	return a, nil
}

// Len returns the number of elements, 0 after Close.
func (a *Array[T]) Len() int { return len(a.view) }

// At returns element i, under the lock. It panics with ErrIndex if there is no
// such element.
func (a *Array[T]) At(i int) T {
	i = a.at(i)
	a.needCopies()
	a.enter()
	v := a.view[i]
	a.exit()
	return v
}

// Set sets element i to v, under the lock. It panics with ErrIndex if there is
// no such element.
func (a *Array[T]) Set(i int, v T) {
	i = a.at(i)
	a.needCopies()
	a.enter()
	a.view[i] = v
	a.exit()
}

// Do calls fn with the elements, under the lock, and releases it also when fn
// panics. The slice is good during the call only.
func (a *Array[T]) Do(fn func(v []T)) {
	a.Lock()
	defer a.Unlock()
	fn(a.view)
}

// DoContext is Do with a context. It returns the context's error, or one that
// matches [psync.ErrOwnerDied]; in both cases fn did not run and the lock is
// not held. To repair the data use LockContext.
func (a *Array[T]) DoContext(ctx context.Context, fn func(v []T)) error {
	if err := a.lockConsistent(ctx); err != nil {
		return err
	}
	defer a.Unlock()
	fn(a.view)
	return nil
}

// View returns the elements themselves, for code that holds the lock or has
// another way to stay out of others' way. It costs what a slice costs. It is
// good until Close; it does not keep the array open.
func (a *Array[T]) View() []T {
	a.needOpen()
	return a.view[:len(a.view):len(a.view)]
}

// All yields the elements with their indexes, taking the lock anew for each: a
// walk, not a snapshot. For a snapshot use Copy.
func (a *Array[T]) All() iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		a.needOpen()
		for i := range a.view {
			if !yield(i, a.At(i)) {
				return
			}
		}
	}
}

// String describes the array without reading its elements.
func (a *Array[T]) String() string {
	return fmt.Sprintf("shm.Array[%v](%d)", reflect.TypeFor[T](), len(a.view))
}

// at turns an index that may be negative into one that is in range.
func (a *Array[T]) at(i int) int {
	n := len(a.view)
	j := i
	if j < 0 {
		j += n
	}
	if uint(j) >= uint(n) {
		a.badIndex(i)
	}
	return j
}

//go:noinline
func (a *Array[T]) badIndex(i int) {
	a.needOpen()
	panic(a.fail(fmt.Sprintf("element %d", i), fmt.Errorf("%w: there are %d", ErrIndex, len(a.view))))
}
