package proc

import (
	"reflect"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A Bound is a function with its argument: see [PoolOptions]. The zero Bound is
// none.
type Bound struct {
	name   string
	encode func() (*wire.Message, error)
}

// With returns the function with its argument, for the beginning or the end of
// a pool's workers. Its result, if it has one, is dropped. Shared objects in the
// argument arrive in each worker, and stay open until it ends.
func (f *Func[A, R]) With(arg A) Bound {
	return Bound{name: f.name, encode: func() (*wire.Message, error) { return wire.Encode(reflect.ValueOf(&arg).Elem()) }}
}

// parcel returns the encoded argument; of none it is nil.
func (b Bound) parcel() (*parcel, error) {
	if b.encode == nil {
		return nil, nil
	}
	m, err := b.encode()
	if err != nil {
		return nil, err
	}
	return &parcel{message: m}, nil
}
