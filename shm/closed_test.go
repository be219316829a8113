package shm

import (
	"context"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// answers are the methods that have an answer also without an object behind them.
var answers = map[string]bool{
	"Len": true, "Cap": true, "Name": true, "Size": true, "File": true, "String": true, "Locker": true,
	"Await": true, "Poll": true, "SetDeadline": true, "SetReadDeadline": true, "SetWriteDeadline": true,
}

// The zero value of each type is as one that was closed, and a nil pointer
// panics in the method that was called: all types and methods do the same.
func TestZeroAndNil(t *testing.T) {
	proctest.NoLeaks(t)
	zeroAndNil[Array[int]](t)
	zeroAndNil[Value[int]](t)
	zeroAndNil[Segment](t)
	zeroAndNil[Queue[int]](t)
	zeroAndNil[Queue[string]](t)
	zeroAndNil[Pipe[int]](t)
	zeroAndNil[Pipe[string]](t)
	zeroAndNil[BytePipe](t)
	require.ErrorIs(t, PutBytesFunc(t.Context(), new(Queue[[]byte]), 1, nil), ErrClosed)
	require.ErrorIs(t, GetBytesFunc(t.Context(), new(Queue[[]byte]), nil), ErrClosed)
}

func zeroAndNil[T any](t *testing.T) {
	typ := reflect.TypeFor[*T]()
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if m.Name == "Travels" || m.Name == "UnmarshalCBOR" {
			continue
		}
		t.Run(typ.Elem().String()+"/"+m.Name, func(t *testing.T) {
			var wrong runtime.Error
			require.ErrorAs(t, called(t, reflect.Zero(typ), m), &wrong, "nil")
			require.ErrorContains(t, wrong, "nil pointer dereference")
			err := called(t, reflect.ValueOf(new(T)), m)
			if answers[m.Name] {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrClosed)
			}
		})
	}
}

// called calls a method, and returns the error that it returns, or panics with.
func called(t *testing.T, object reflect.Value, m reflect.Method) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = v.(error)
		}
	}()
	in := []reflect.Value{object}
	for i := 1; i < m.Type.NumIn(); i++ {
		switch typ := m.Type.In(i); {
		case typ == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(t.Context()))
		case typ == reflect.TypeFor[*await.List]():
			in = append(in, reflect.ValueOf(new(await.List)))
		case m.Type.IsVariadic() && i == m.Type.NumIn()-1: // all of it
		case typ.Kind() == reflect.Slice:
			in = append(in, reflect.MakeSlice(typ, 1, 1))
		default:
			in = append(in, reflect.Zero(typ))
		}
	}
	for _, out := range m.Func.Call(in) {
		if out.Kind() == reflect.Func { // an iterator
			out.Call([]reflect.Value{reflect.MakeFunc(out.Type().In(0), func(args []reflect.Value) []reflect.Value {
				err, _ = args[len(args)-1].Interface().(error)
				return []reflect.Value{reflect.ValueOf(true)}
			})})
		} else if e, ok := out.Interface().(error); ok && !out.IsZero() {
			err = e
		}
	}
	return err
}
