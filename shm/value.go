package shm

import (
	"context"
	"fmt"
	"reflect"
)

// A Value is one T that processes share, and a lock that guards it: Python's
// multiprocessing.Value.
//
// Get and Set take the lock for each access. What reads and then writes is done
// under Do: v.Do(func(n *int64) { *n++ }). When a process dies while it holds
// the lock, what [Array] says holds here.
//
// A Value travels to other processes in arguments and results, as *Value.
type Value[T any] struct {
	object[T]
}

// NewValue makes a shared variable with the value v. The caller must Close it.
// Errors are of type [*Error]: ErrType for a type that cannot be shared. A type
// that contains a lock starts as zero: v must be its zero value.
func NewValue[T any](v T, opts *Options) (*Value[T], error) {
	o := new(Value[T])
	if err := o.make(kindValue, 1, opts); err != nil {
		return nil, err
	}
	o.cleanup = watchForgotten(o, o.mapping)
	if o.primitive == "" {
		o.view[0] = v
	} else if !reflect.ValueOf(&v).Elem().IsZero() {
		err := o.fail("create", fmt.Errorf("%w: %s is a lock, so the first value must be zero", ErrType, o.primitive))
		_ = o.Close() // the error at hand says more
		return nil, err
	}
	return o, nil
}

// Get returns the value, under the lock.
func (v *Value[T]) Get() T {
	v.needOpen()
	v.needCopies()
	v.enter()
	x := v.view[0]
	v.exit()
	return x
}

// Set sets the value, under the lock.
func (v *Value[T]) Set(x T) {
	v.needOpen()
	v.needCopies()
	v.enter()
	v.view[0] = x
	v.exit()
}

// Do calls fn with the variable, under the lock, and releases it also when fn
// panics. The pointer is good during the call only.
func (v *Value[T]) Do(fn func(*T)) {
	v.Lock()
	defer v.Unlock()
	fn(&v.view[0])
}

// DoContext is Do with a context; see [Array.DoContext].
func (v *Value[T]) DoContext(ctx context.Context, fn func(*T)) error {
	if err := v.lockConsistent(ctx); err != nil {
		return err
	}
	defer v.Unlock()
	fn(&v.view[0])
	return nil
}

// Ptr returns the variable itself, for code that holds the lock or has another
// way to stay out of others' way. It is good until Close.
func (v *Value[T]) Ptr() *T {
	v.needOpen()
	return &v.view[0]
}

// String describes the value without reading it.
func (v *Value[T]) String() string {
	if v.mapping == nil {
		return fmt.Sprintf("shm.Value[%v](closed)", reflect.TypeFor[T]())
	}
	return fmt.Sprintf("shm.Value[%v]", reflect.TypeFor[T]())
}
