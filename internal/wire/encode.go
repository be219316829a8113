package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// encMode and decMode are set so that nothing is lost between them. Options
// that are not named have defaults that lose nothing: nil is null and no empty
// container, floats keep their size, big integers are exact.
var (
	encMode = must(cbor.EncOptions{
		Time:                  cbor.TimeRFC3339Nano,
		NaNConvert:            cbor.NaNConvertNone,
		InfConvert:            cbor.InfConvertNone,
		ToIndefArrayStructTag: cbor.ToIndefArrayStructTagAllowed,
	}.EncMode())

	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8DecodeInvalid, // a Go string may hold any bytes
		MaxArrayElements:  math.MaxInt32,
		MaxMapPairs:       math.MaxInt32,
		MaxNestedLevels:   2 * maxDepth, // a type that encodes itself may have more levels than it shows
	}.DecMode())
)

func must[M any](m M, err error) M {
	if err != nil {
		panic("wire: " + err.Error())
	}
	return m
}

// countSize is the size of the number of elements that precedes a slice. It
// keeps the elements aligned.
const countSize = 8

// Encode returns a message that holds v, whose type must have passed Check. The
// message shares no memory with v. The caller must close it. (Nobody can decode what a
// type that encodes itself nests deeper than twice maxDepth.)
//
// A value that is cyclic, or of a recursive type and nested deeper than 1000
// levels, is ErrDepth.
func Encode(v reflect.Value) (*Message, error) {
	t := v.Type()
	f := formOf(t)
	if f.err != nil {
		return nil, f.err
	}
	switch f.kind {
	case asBytes:
		return &Message{Data: bytes.Clone(bytesOf(addressable(v))), form: f.sum}, nil
	case asString:
		return &Message{Data: []byte(v.String()), form: f.sum}, nil
	case asSlice:
		if v.IsNil() {
			return &Message{form: f.sum}, nil
		}
		elems := elemsOf(v)
		data := make([]byte, 0, countSize+len(elems))
		data = binary.NativeEndian.AppendUint64(data, uint64(v.Len()))
		return &Message{Data: append(data, elems...), form: f.sum}, nil
	}
	m, err := encodeCBOR(v, f)
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", t, err)
	}
	return m, nil
}

func encodeCBOR(v reflect.Value, f *form) (_ *Message, err error) {
	if f.look {
		if err := look(v, 0); err != nil {
			return nil, err
		}
	}
	m := &Message{}
	if f.own {
		defer (&envelope{message: m, sending: true, undo: &m.undo}).open()()
		good := false // stays so if a method of the value panics
		defer func() {
			if !good {
				m.Close()
			}
		}()
		m.Data, err = encMode.Marshal(v.Interface())
		good = err == nil
		return m, err
	}
	m.Data, err = encMode.Marshal(v.Interface())
	return m, err
}

// Decode sets v, which must be settable and of the type that was encoded, to the
// value in m. It neither keeps nor closes m. After an error v is zero, and the
// shared objects that were opened for it are closed.
//
// Memory is bounded by the length of the data times the size of the elements of
// the type, whatever lengths the data claims, and the stack by what lies inside one
// another, at most twice maxDepth.
func Decode(m *Message, v reflect.Value) error {
	_, err := decode(m, v)
	return err
}

// Open is Decode for a value that this process gives up as a whole some day:
// closeAll closes the shared objects that were opened for it. It is nil if there
// are none.
func Open(m *Message, v reflect.Value) (closeAll func(), err error) {
	opened, err := decode(m, v)
	if len(opened) == 0 {
		return nil, err
	}
	all := opened // escapes, and only here
	return all.run, err
}

func decode(m *Message, v reflect.Value) (opened undos, err error) {
	t := v.Type()
	f := formOf(t)
	v.SetZero() // null leaves a time as it was, and what was left out leaves a field
	if f.err != nil {
		return nil, f.err
	}
	switch f.kind {
	case asBytes:
		err = decodeBytes(m.Data, bytesOf(v), f)
	case asString:
		v.SetString(string(m.Data))
	case asSlice:
		err = decodeSlice(m.Data, v, f)
	default:
		opened, err = decodeCBOR(m, v, f)
	}
	if err != nil {
		return nil, fmt.Errorf("decode %v: %w", t, err)
	}
	return opened, nil
}

func decodeCBOR(m *Message, v reflect.Value, f *form) (undo undos, err error) {
	good := false // stays so if a method of the value panics
	defer func() {
		if !good {
			v.SetZero()
			if len(undo) > 0 {
				probe.At(probe.Hand78)
			}
			undo.run()
		}
	}()
	if f.own {
		defer (&envelope{message: m, undo: &undo}).open()()
	}
	err = decMode.Unmarshal(m.Data, v.Addr().Interface())
	good = err == nil
	return undo, err
}

// decodeBytes copies data to the bytes of a value or of elements. A bool that is
// neither 0 nor 1 would be neither true nor false to Go.
func decodeBytes(data, to []byte, f *form) error {
	if len(data) != len(to) {
		return fmt.Errorf("%w: %d bytes, want %d", ErrFormat, len(data), len(to))
	}
	if f.bools != nil && !f.bools(data) {
		return fmt.Errorf("%w: a bool that is neither 0 nor 1", ErrFormat)
	}
	copy(to, data)
	return nil
}

func decodeSlice(data []byte, v reflect.Value, f *form) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) < countSize {
		return fmt.Errorf("%w: %d bytes are too few for a slice", ErrFormat, len(data))
	}
	n, elems := binary.NativeEndian.Uint64(data), data[countSize:]
	over, size := bits.Mul64(n, uint64(v.Type().Elem().Size()))
	if over != 0 || size != uint64(len(elems)) || n > math.MaxInt {
		return fmt.Errorf("%w: %d bytes for %d elements", ErrFormat, len(elems), n)
	}
	v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
	if f.bools != nil {
		elem := f.bools
		step := int(v.Type().Elem().Size())
		for b := elems; len(b) > 0; b = b[step:] {
			if !elem(b[:step]) {
				v.SetZero()
				return fmt.Errorf("%w: a bool that is neither 0 nor 1", ErrFormat)
			}
		}
	}
	copy(elemsOf(v), elems)
	return nil
}

// addressable returns v, or a copy of it that has an address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}
