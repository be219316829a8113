package shm

import (
	"context"
	"fmt"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// encodeItem returns the message that stands for an item without a fixed size.
func encodeItem[T any](v *T) ([]byte, error) {
	switch v := any(v).(type) {
	case *[]byte:
		return *v, nil
	case *string:
		return []byte(*v), nil
	}
	m, err := wire.Encode(reflect.ValueOf(v).Elem())
	if err != nil {
		return nil, err
	}
	if len(m.Files) > 0 { // added by a codec of the type's own
		m.Close()
		return nil, fmt.Errorf("%w: a %T holds shared objects, which travel over connections only", ErrType, *v)
	}
	return m.Data, nil
}

// decodeItem makes the item that a message stands for; it may keep the message.
func decodeItem[T any](message []byte) (v T, err error) {
	switch v := any(&v).(type) {
	case *[]byte:
		*v = message
	case *string:
		*v = string(message)
	default:
		err = wire.Decode(&wire.Message{Data: message}, reflect.ValueOf(v).Elem())
	}
	return v, err
}

// clone copies a message out of the ring; an empty one is not nil.
func clone(message []byte) []byte { return append(make([]byte, 0, len(message)), message...) }

// putEach puts items one by one, and returns how many.
func putEach[T any](ctx context.Context, items []T, put func(context.Context, T) error) (n int, err error) {
	for n < len(items) {
		if err := put(ctx, items[n]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// getEach gets items one by one, as messages: it waits for the first, and takes
// those behind it that are there. It returns how many; with some, an error is
// that of decoding the one behind them, which is gone.
func getEach[T any](ctx context.Context, items []T, get func(context.Context) ([]byte, error), decode func([]byte) (T, error)) (n int, err error) {
	for n < len(items) {
		data, err := get(ctx)
		switch {
		case err != nil && n > 0:
			return n, nil // the next call tells
		case err != nil:
			return 0, err
		}
		if items[n], err = decode(data); err != nil {
			return n, err
		}
		n++
		ctx = atOnce
	}
	return n, nil
}

// errInPlace is the error of using an item without a fixed size in its place.
func errInPlace[T any]() error {
	return fmt.Errorf("%w: %v has no fixed size, so it cannot be used in place", ErrType, reflect.TypeFor[T]())
}
