package shm

import "context"

func (q *Queue[T]) putRecord(ctx context.Context, v T) error {
	data, err := encodeItem(&v)
	if err != nil {
		return q.fail("put", err)
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
	return q.decode(data)
}

func (q *Queue[T]) decode(data []byte) (v T, err error) {
	v, err = decodeItem[T](data)
	return v, q.fail("get", err)
}

// getData takes the first item, and returns it encoded.
func (q *Queue[T]) getData(ctx context.Context) (data []byte, err error) {
	err = q.getMessage(ctx, func(message []byte) error { data = clone(message); return nil })
	return data, err
}

// putMessage is Put for a message of n bytes, which write fills in.
func (q *Queue[T]) putMessage(ctx context.Context, n int, write func(message []byte) error) error {
	if q.ring.words == nil {
		return q.fail("put", errDetached)
	}
	if err := q.records.fits(n); err != nil {
		return q.fail("put", err)
	}
	tail, _, err := q.ring.beginPut(ctx, func(tail position) uint32 { return q.records.span(tail, n) }, 0)
	if err != nil {
		return q.fail("put", err)
	}
	return q.ring.fill(tail, q.records.span(tail, n), func() error { return write(q.records.place(tail, n)) })
}

// getMessage is Get: read sees the message in its place.
func (q *Queue[T]) getMessage(ctx context.Context, read func(message []byte) error) error {
	head, filled, err := q.ring.beginGet(ctx, 1)
	if err != nil {
		return q.fail("get", err)
	}
	return q.ring.take(head, func() (uint32, error) {
		message, units, err := q.records.find(head, filled)
		if err != nil {
			return 0, q.fail("get", err)
		}
		return units, read(message)
	})
}

// PutFunc puts an item that fn writes in its place in shared memory, without a
// copy: for large arrays and structs. It is for types without pointers; for
// others see [PutBytesFunc]. The place holds what an earlier item left there.
// While fn runs other producers wait; consumers do not. If fn fails or panics,
// nothing is put. It must not use the queue. Otherwise it is as Put.
func (q *Queue[T]) PutFunc(ctx context.Context, fn func(item *T) error) error {
	if err := q.needSlots(); err != nil {
		return q.fail("put", err)
	}
	tail, _, err := q.ring.beginPut(ctx, nil, 1)
	if err != nil {
		return q.fail("put", err)
	}
	return q.ring.fill(tail, 1, func() error { return fn(q.slots.at(tail)) })
}

// GetFunc lets fn see the first item in its place in shared memory, without a
// copy, and takes it when fn returns. The pointer is good during the call only.
// While fn runs other consumers wait; producers do not. If fn fails or panics,
// the item is still the first. It must not use the queue. Otherwise it is as Get;
// see also [GetBytesFunc].
func (q *Queue[T]) GetFunc(ctx context.Context, fn func(item *T) error) error {
	if err := q.needSlots(); err != nil {
		return q.fail("get", err)
	}
	head, _, err := q.ring.beginGet(ctx, 1)
	if err != nil {
		return q.fail("get", err)
	}
	return q.ring.take(head, func() (uint32, error) { return 1, fn(q.slots.at(head)) })
}

func (q *Queue[T]) needSlots() error {
	switch {
	case q.ring.words == nil:
		return errDetached
	case q.slots == nil:
		return errInPlace[T]()
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
