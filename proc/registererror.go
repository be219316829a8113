package proc

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// An errorType is a registered type of errors.
type errorType struct {
	name   string
	encode func(err error) []byte // nil if there is none among the causes
	decode func(data []byte) error
}

// errorTypes is written by package initialisation only.
var errorTypes []errorType

// RegisterError makes errors of type E keep their identity on the way from
// another process: errors.As finds, in the error that arrives, a copy of the E
// that it finds in the original. It belongs into a package-level variable:
//
//	var _ = proc.RegisterError[*NotFoundError]("not found")
//
// E is a struct with exported fields, or a pointer to one, of types that can
// travel: see [Register]. RegisterError panics if the name is empty or taken, or
// if E cannot travel.
func RegisterError[E error](name string) struct{} {
	t := reflect.TypeFor[E]()
	if name == "" {
		panic("proc: RegisterError needs a name")
	}
	for _, other := range errorTypes {
		if other.name == name {
			panic(fmt.Sprintf("proc: the error name %q is registered twice", name))
		}
	}
	if err := wire.Check(t); err != nil {
		panic(fmt.Sprintf("proc: RegisterError %q: the error cannot travel: %v", name, err))
	}
	errorTypes = append(errorTypes, errorType{
		name: name,
		encode: func(err error) []byte {
			var e E
			if !errors.As(err, &e) {
				return nil
			}
			m, encodeErr := wire.Encode(reflect.ValueOf(&e).Elem())
			if encodeErr != nil {
				return nil // it arrives as text
			}
			defer m.Close()
			if len(m.Files) > 0 {
				return nil
			}
			return m.Data
		},
		decode: func(data []byte) error {
			var e E
			if wire.Decode(&wire.Message{Data: data}, reflect.ValueOf(&e).Elem()) != nil {
				return nil
			}
			return e
		},
	})
	return struct{}{}
}

// encodeError returns the first registered error among the causes of err.
func encodeError(err error) (name string, body []byte) {
	for _, t := range errorTypes {
		if body := t.encode(err); body != nil {
			return t.name, body
		}
	}
	return "", nil
}

func decodeError(name string, body []byte) error {
	for _, t := range errorTypes {
		if t.name == name {
			return t.decode(body)
		}
	}
	return nil
}
