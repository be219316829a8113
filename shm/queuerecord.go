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

func (q *Queue[T]) putRecord(ctx context.Context, v T) error {
	data, err := encodeItem(&v)
	if err != nil {
		return q.ring.fail("put into", err)
	}
	return q.putMessage(ctx, len(data), func(message []byte) error {
		copy(message, data)
		return nil
	})
}

func (q *Queue[T]) getRecord(ctx context.Context) (v T, err error) {
	data, err := q.getData(ctx)
	if err != nil {
		return v, err
	}
	if v, err = decodeItem[T](data); err != nil {
		return v, q.ring.fail("get from", err)
	}
	return v, nil
}

// getData takes the first item, and returns it encoded.
func (q *Queue[T]) getData(ctx context.Context) (data []byte, err error) {
	err = q.getMessage(ctx, func(message []byte) error { data = clone(message); return nil })
	return data, err
}

// putMessage is Put for a message of n bytes, which write fills in.
func (q *Queue[T]) putMessage(ctx context.Context, n int, write func(message []byte) error) error {
	if q.ring.words == nil {
		return errDetached
	}
	if err := q.records.fits(n); err != nil {
		return q.ring.fail("put into", err)
	}
	tail, _, err := q.ring.beginPut(ctx, func(tail position) uint32 { return q.records.span(tail, n) }, 0)
	if err != nil {
		return err
	}
	return q.ring.fill(tail, q.records.span(tail, n), func() error { return write(q.records.place(tail, n)) })
}

// getMessage is Get: read sees the message in its place.
func (q *Queue[T]) getMessage(ctx context.Context, read func(message []byte) error) error {
	head, filled, err := q.ring.beginGet(ctx, 1)
	if err != nil {
		return err
	}
	return q.ring.take(head, func() (uint32, error) {
		message, units, err := q.records.find(head, filled)
		if err != nil {
			return 0, q.ring.fail("get from", err)
		}
		return units, read(message)
	})
}

// getRecords takes what is there, without waiting again.
func (q *Queue[T]) getRecords(ctx context.Context, items []T) (n int, err error) {
	for n < len(items) {
		data, err := q.getData(ctx)
		if n > 0 && err != nil {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if items[n], err = decodeItem[T](data); err != nil {
			return n, q.ring.fail("get from", err)
		}
		n++
		ctx = atOnce
	}
	return n, nil
}

// PutFunc puts an item that fn writes in its place in shared memory, without a
// copy: for large arrays and structs. It is for types without pointers; for
// others see [PutBytesFunc]. The place holds what an earlier item left there.
// While fn runs other producers wait; consumers do not. If fn fails or panics,
// nothing is put. It must not use the queue. Otherwise it is as Put.
func (q *Queue[T]) PutFunc(ctx context.Context, fn func(item *T) error) error {
	if err := q.needSlots(); err != nil {
		return err
	}
	tail, _, err := q.ring.beginPut(ctx, nil, 1)
	if err != nil {
		return err
	}
	return q.ring.fill(tail, 1, func() error { return fn(q.slot(tail)) })
}

// GetFunc lets fn see the first item in its place in shared memory, without a
// copy, and takes it when fn returns. The pointer is good during the call only.
// While fn runs other consumers wait; producers do not. If fn fails or panics,
// the item is still the first. It must not use the queue. Otherwise it is as Get;
// see also [GetBytesFunc].
func (q *Queue[T]) GetFunc(ctx context.Context, fn func(item *T) error) error {
	if err := q.needSlots(); err != nil {
		return err
	}
	head, _, err := q.ring.beginGet(ctx, 1)
	if err != nil {
		return err
	}
	return q.ring.take(head, func() (uint32, error) { return 1, fn(q.slot(head)) })
}

func (q *Queue[T]) needSlots() error {
	switch {
	case q.ring.words == nil:
		return errDetached
	case q.slots == nil:
		return q.ring.fail("use in place", fmt.Errorf("%w: %v has no fixed size", ErrType, reflect.TypeFor[T]()))
	}
	return nil
}

// PutBytesFunc is [Queue.PutFunc] for an item of n bytes.
func PutBytesFunc(ctx context.Context, q *Queue[[]byte], n int, fn func(item []byte) error) error {
	return q.putMessage(ctx, n, fn)
}

// GetBytesFunc is [Queue.GetFunc] for bytes.
func GetBytesFunc(ctx context.Context, q *Queue[[]byte], fn func(item []byte) error) error {
	return q.getMessage(ctx, fn)
}
