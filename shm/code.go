package shm

import (
	"fmt"
	"reflect"
	"strings"
)

// A Code is one of Python's numeric type codes, as its array and ctypes modules
// use them: b B h H i I l L q Q f d. They are for tools whose user names a type;
// programs write the Go type.
type Code byte

// codes maps each code to its Go type on 64-bit Linux, in Python's order.
var codes = []struct {
	code Code
	typ  reflect.Type
	make func(int, *Options) (AnyArray, error)
}{
	{'b', reflect.TypeFor[int8](), makeAny[int8]},
	{'B', reflect.TypeFor[uint8](), makeAny[uint8]},
	{'h', reflect.TypeFor[int16](), makeAny[int16]},
	{'H', reflect.TypeFor[uint16](), makeAny[uint16]},
	{'i', reflect.TypeFor[int32](), makeAny[int32]},
	{'I', reflect.TypeFor[uint32](), makeAny[uint32]},
	{'l', reflect.TypeFor[int64](), makeAny[int64]},
	{'L', reflect.TypeFor[uint64](), makeAny[uint64]},
	{'q', reflect.TypeFor[int64](), makeAny[int64]},
	{'Q', reflect.TypeFor[uint64](), makeAny[uint64]},
	{'f', reflect.TypeFor[float32](), makeAny[float32]},
	{'d', reflect.TypeFor[float64](), makeAny[float64]},
}

// ParseCode returns the code that s names, or ErrCode.
func ParseCode(s string) (Code, error) {
	known := make([]string, 0, len(codes))
	for _, c := range codes {
		if s == string(c.code) {
			return c.code, nil
		}
		known = append(known, string(c.code))
	}
	return 0, fmt.Errorf("%w %q: the codes are %s", ErrCode, s, strings.Join(known, " "))
}

// codeOf returns the code of t, 0 if it has none. Of two codes it is the first.
func codeOf(t reflect.Type) Code {
	for _, c := range codes {
		if c.typ.Kind() == t.Kind() {
			return c.code
		}
	}
	return 0
}

// String returns the code's letter.
func (c Code) String() string { return string(c) }

// An AnyArray is an array whose element type was chosen at run time: an *Array
// of a numeric type, which a type switch finds out.
type AnyArray interface {
	Len() int       // number of elements
	String() string // its type and length
	Close() error   // see Array
}

// NewArrayCode makes an array of n zero elements of the type that the code
// names: an *Array[int32] for 'i', and so on. Otherwise it is like [NewArray].
func NewArrayCode(code Code, n int, opts *Options) (AnyArray, error) {
	for _, c := range codes {
		if c.code == code {
			return c.make(n, opts)
		}
	}
	return nil, failed(kindNames[kindArray], "", "create", fmt.Errorf("%w %q", ErrCode, byte(code)))
}

// makeAny returns a plain nil with an error, not a nil *Array in an interface.
func makeAny[T any](n int, opts *Options) (AnyArray, error) {
	a, err := NewArray[T](n, opts)
	if err != nil {
		return nil, err
	}
	return a, nil
}
