package proc

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/wire"
	psync "github.com/go-multiproc/multiproc/sync"
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
// that it finds in the original, one of each registered type. It belongs into a
// package-level variable:
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

// What this package knows of others is registered as anybody's errors are.
var _ = RegisterError[*psync.OwnerDiedError]("multiproc: owner died")

// A registeredError is how an error of a registered type travels.
type registeredError struct {
	Name string // of the type
	Body []byte // the error, encoded
}

// encodeErrors returns the registered errors among the causes of err, one of each
// type.
func encodeErrors(err error) (all []registeredError) {
	for _, t := range errorTypes {
		if body := t.encode(err); body != nil {
			all = append(all, registeredError{t.name, body})
		}
	}
	return all
}

// decode returns a copy of the error, or nil if it does not make sense.
func (e registeredError) decode() error {
	for _, t := range errorTypes {
		if t.name == e.Name {
			return t.decode(e.Body)
		}
	}
	return nil
}
