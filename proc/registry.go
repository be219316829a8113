package proc

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/inherit"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// None is the result of a function that has none.
type None struct{}

// A Func is a registered function: it can be run in a process of its own.
type Func[A, R any] struct {
	name string
}

// A program is a registered function without its types: it takes an encoded
// argument and gives an encoded result.
type program func(ctx context.Context, arg *wire.Message) (*wire.Message, error)

// programs is written by package initialisation only.
var programs = map[string]program{}

// mainCalled tells that a child of this program would come to Main.
var mainCalled atomic.Bool

// Register gives fn a name under which child processes find it. It belongs into
// a package-level variable, so that parent and child both have it:
//
//	var square = proc.Register("square", func(ctx context.Context, x int) (int, error) { return x * x, nil })
//
// Argument and result may be of any type whose values come back equal:
// numbers, strings, structs with exported fields, slices, maps, pointers to
// them, types that encode themselves. Shared arrays, values, queues, pipes,
// segments, connections and files may stand anywhere inside, as pointers, and
// arrive attached to the same memory.
//
// Register panics if the name is empty or taken, or if a type cannot travel: a
// channel, a function, an interface, an unexported field, a lock by value. The
// message names the path of the field. (Structs of nothing but numbers, booleans
// and arrays travel as their bytes, and may have unexported fields.)
func Register[A, R any](name string, fn func(ctx context.Context, arg A) (R, error)) *Func[A, R] {
	if name == "" || fn == nil {
		panic("proc: Register needs a name and a function")
	}
	if programs[name] != nil {
		panic(fmt.Sprintf("proc: the function name %q is registered twice", name))
	}
	for what, t := range map[string]reflect.Type{"argument": reflect.TypeFor[A](), "result": reflect.TypeFor[R]()} {
		if err := wire.Check(t); err != nil {
			panic(fmt.Sprintf("proc: Register %q: the %s cannot travel: %v", name, what, err))
		}
	}
	programs[name] = func(ctx context.Context, m *wire.Message) (*wire.Message, error) {
		var arg A
		if err := wire.Decode(m, reflect.ValueOf(&arg).Elem()); err != nil {
			return nil, fmt.Errorf("decode the argument of %s: %w", name, err)
		}
		m.Close()
		result, err := fn(ctx, arg)
		if err != nil {
			return nil, err
		}
		encoded, err := wire.Encode(reflect.ValueOf(&result).Elem())
		if err != nil {
			return nil, fmt.Errorf("encode the result of %s: %w", name, err)
		}
		return encoded, nil
	}
	return &Func[A, R]{name: name}
}

// RegisterTask is [Register] for a function without a result.
func RegisterTask[A any](name string, fn func(ctx context.Context, arg A) error) *Func[A, None] {
	if fn == nil {
		panic("proc: RegisterTask needs a name and a function")
	}
	return Register(name, func(ctx context.Context, arg A) (None, error) { return None{}, fn(ctx, arg) })
}

// Name returns the name that the function was registered under.
func (f *Func[A, R]) Name() string { return f.name }

// Main must be the first thing that main does, and that TestMain does in a test
// binary: before flags and arguments are looked at, as a child has none. A program
// that starts no processes needs it not. In a program that a user started it returns at once. In a child it
// runs the function that the child is for, and ends the process. A process that
// claims to be a child and cannot prove it ends with status 1.
func Main() {
	if inherit.Refused() {
		fmt.Fprintln(os.Stderr, "proc: this process was started as a child, but its parent cannot be verified: the control socket is missing, or was made by another process")
		os.Exit(exitError)
	}
	mainCalled.Store(true)
	if in := inherit.Get(); in != nil {
		os.Exit(runChild(in.Control))
	}
}
