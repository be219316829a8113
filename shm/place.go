package shm

import (
	"fmt"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/plain"
)

// Place returns a pointer to the T that lies offset bytes into the data of s.
// All processes that place the same type there share it; it is zero until
// somebody writes. The pointer is good until s is closed.
//
// A type that holds Go pointers anywhere, or a lock of the standard library, is
// refused with ErrType and the path of the field. The offset must be a multiple
// of T's alignment, and T must fit. Errors are of type [*Error].
func Place[T any](s *Segment, offset int) (_ *T, err error) {
	view, err := PlaceSlice[T](s, offset, 1)
	if err != nil {
		return nil, err
	}
	return &view[0], nil
}

// PlaceSlice is [Place] for n elements of type T in a row.
func PlaceSlice[T any](s *Segment, offset, n int) (_ []T, err error) {
	defer wrap(&err, "segment", s.name, "place "+reflect.TypeFor[T]().String())
	m := s.mapping.Load()
	if m == nil {
		return nil, errClosed
	}
	size, err := elementSize[T]()
	if err != nil {
		return nil, err
	}
	if align := reflect.TypeFor[T]().Align(); offset < 0 || offset%align != 0 {
		return nil, fmt.Errorf("%w: offset %d is not a multiple of %d", ErrSize, offset, align)
	}
	if n < 0 || offset > s.size || n > (s.size-offset)/size {
		return nil, fmt.Errorf("%w: %d elements of %d bytes at offset %d in %d bytes", ErrSize, n, size, offset, s.size)
	}
	return viewOf[T](m.data[headerSize+offset:], n), nil
}

// elementSize returns the size of T, which must be fit to lie in shared memory.
func elementSize[T any]() (int, error) {
	t := reflect.TypeFor[T]()
	if err := plain.Check(t); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrType, err)
	}
	if t.Size() == 0 {
		return 0, fmt.Errorf("%w: %v has no size", ErrType, t)
	}
	return int(t.Size()), nil
}
