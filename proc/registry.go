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
	name     string
	function *function
	encode   func(A, []byte) (encoded, error)
	decode   func(*wire.Message) (R, func(), error)

	plainArgument, plainResult bool
}

// programs are the registered functions by name, tasks by what names them in a
// pool. Both are written by package initialisation only.
var (
	programs = map[string]*function{}
	tasks    = map[uint64]*function{}
)

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
	f := newFunction(name, fn)
	if other := tasks[f.id]; other != nil {
		panic(fmt.Sprintf("proc: the function names %q and %q have the same hash: rename one", name, other.name))
	}
	programs[name], tasks[f.id] = f, f
	return &Func[A, R]{name: name, function: f, encode: encoder[A](), decode: decoder[R](), plainArgument: plain[A](), plainResult: plain[R]()}
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
// that starts no processes does not need it. In a program that a user started it
// returns at once. In a child it runs the function that the child is for, and ends
// the process. A process that claims to be a child and cannot prove it ends with
// status 1.
func Main() {
	if inherit.Refused() {
		fmt.Fprintln(os.Stderr, "proc: this process was started as a child, but its parent cannot be verified: the control socket is missing, or was made by another process or user, or this program file has capabilities (setcap)")
		os.Exit(exitError)
	}
	mainCalled.Store(true)
	if in := inherit.Get(); in != nil {
		os.Exit(runChild(in.Control))
	}
}
