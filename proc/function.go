package proc

import (
	"context"
	"fmt"
	"hash/fnv"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A function is a registered function without its types.
type function struct {
	name string
	id   uint64 // a hash of the name: both sides are the same program

	// run takes an encoded argument, which it closes, and gives an encoded
	// result.
	run func(ctx context.Context, arg *wire.Message) (*wire.Message, error)

	// task is run for one item in a worker, which keeps the argument, and closes the
	// shared objects that were opened for it. A result that is nothing but bytes is
	// appended to buf.
	task func(ctx context.Context, arg *wire.Message, buf []byte) (encoded, error)

	// open decodes the argument that all parts of a parallel-for share, and part
	// is task with that and a range. They are nil if the argument is no Part.
	open func(arg *wire.Message) (shared *sharedArgument, err error)
	part func(ctx context.Context, shared *sharedArgument, low, high int, buf []byte) (encoded, error)

	// describe formats an argument, for people.
	describe func(arg *wire.Message) string
}

// A sharedArgument is what all parts of a parallel-for share, in a worker.
type sharedArgument struct {
	value    any
	closeAll func() // closes the shared objects in it; nil: there are none
}

// close closes the shared objects.
func (s *sharedArgument) close() {
	if s.closeAll != nil {
		s.closeAll()
	}
}

func newFunction[A, R any](name string, fn func(context.Context, A) (R, error)) *function {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // never fails
	f := &function{name: name, id: hash.Sum64()}
	decode := decoder[A]()
	encode := encoder[R]()
	call := func(ctx context.Context, arg A, buf []byte) (encoded, error) {
		result, err := fn(ctx, arg)
		if err != nil {
			return encoded{}, err
		}
		e, err := encode(result, buf)
		if err != nil {
			return encoded{}, fmt.Errorf("encode the result of %s: %w", name, err)
		}
		return e, nil
	}
	open := func(m *wire.Message) (arg A, closeAll func(), err error) {
		if arg, closeAll, err = decode(m); err != nil {
			err = fmt.Errorf("decode the argument of %s: %w", name, err)
		}
		return arg, closeAll, err
	}
	f.run = func(ctx context.Context, m *wire.Message) (*wire.Message, error) {
		arg, _, err := open(m)
		if err != nil {
			return nil, err
		}
		m.Close()
		result, err := call(ctx, arg, nil)
		if err != nil {
			return nil, err
		}
		if result.message == nil {
			return &wire.Message{Data: result.data}, nil
		}
		return result.message, nil
	}
	f.task = func(ctx context.Context, m *wire.Message, buf []byte) (encoded, error) {
		arg, closeAll, err := open(m)
		if err != nil {
			return encoded{}, err
		}
		result, err := call(ctx, arg, buf)
		if closeAll != nil {
			closeAll()
		}
		return result, err
	}
	f.describe = func(m *wire.Message) string {
		arg, closeAll, err := open(m)
		if err != nil {
			return err.Error()
		}
		if closeAll != nil {
			defer closeAll()
		}
		return fmt.Sprintf("%v", arg)
	}
	if _, ok := any(new(A)).(ranged); ok {
		f.open = func(m *wire.Message) (*sharedArgument, error) {
			arg, closeAll, err := open(m)
			if err != nil {
				return nil, err
			}
			return &sharedArgument{arg, closeAll}, nil
		}
		f.part = func(ctx context.Context, shared *sharedArgument, low, high int, buf []byte) (encoded, error) {
			arg := shared.value.(A)
			any(&arg).(ranged).setRange(low, high)
			return call(ctx, arg, buf)
		}
	}
	return f
}

// decoder returns how to decode a T, as wire.Open does. It is passed by value,
// here and below: through a pointer each one would be an allocation.
func decoder[T any]() func(m *wire.Message) (v T, closeAll func(), err error) {
	if onlyBytes[T]() {
		return func(m *wire.Message) (v T, _ func(), err error) {
			memory := memoryOf(&v)
			if len(m.Data) != len(memory) {
				return v, nil, fmt.Errorf("%w: %d bytes, want %d", wire.ErrFormat, len(m.Data), len(memory))
			}
			copy(memory, m.Data)
			return v, nil, nil
		}
	}
	return func(m *wire.Message) (v T, closeAll func(), err error) {
		closeAll, err = wire.Open(m, reflect.ValueOf(&v).Elem())
		return v, closeAll, err
	}
}

// An encoded value is its data, and the message that owns it, which is nil if the
// type is nothing but bytes.
type encoded struct {
	data    []byte
	message *wire.Message
}

// files reports whether there is more than data.
func (e encoded) files() bool { return e.message != nil && len(e.message.Files) > 0 }

// encoder returns how to encode a T. Data of a type that is nothing but bytes is
// appended to buf.
func encoder[T any]() func(v T, buf []byte) (encoded, error) {
	if onlyBytes[T]() {
		return func(v T, buf []byte) (encoded, error) {
			return encoded{data: append(buf, memoryOf(&v)...)}, nil
		}
	}
	return func(v T, _ []byte) (encoded, error) {
		m, err := wire.Encode(reflect.ValueOf(&v).Elem())
		if err != nil {
			return encoded{}, err
		}
		return encoded{data: m.Data, message: m}, nil
	}
}
