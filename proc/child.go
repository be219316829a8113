package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// Exit codes of a child.
const (
	exitOK = iota
	exitError
	exitPanic
)

var (
	errTerminated = errors.New("the process was asked to end")
	errGoexit     = errors.New("the function called runtime.Goexit")
	errNoFunction = errors.New("no function is registered under this name in the child: is Register called in a package-level variable?")
)

// runChild is a child's whole life: take the order, run the function, answer.
// It returns the exit code.
func runChild(control int) int {
	conn, err := wire.NewConn(control)
	if err != nil {
		fmt.Fprintln(os.Stderr, "proc: control socket:", err)
		return exitError
	}
	o, arg, err := receiveOrder(conn)
	if err != nil {
		// The parent is gone, or was not a parent at all.
		return exitError
	}
	self.Store(&identity{Info: Info{Name: o.Name, Pid: os.Getpid()}, parent: &o.Parent})
	_ = os.WriteFile("/proc/self/comm", []byte("mp:"+o.Func), 0) // a name for people; cut to 15 bytes
	go lifeline(conn)

	ctx, cancel := context.WithCancelCause(context.Background())
	terminated := obeySignals(cancel)
	result, f := perform(ctx, conn, o.Func, arg)
	code := answer(conn, result, f)
	if terminated.Load() {
		dieOf(unix.SIGTERM)
	}
	return code
}

func receiveOrder(conn *wire.Conn) (o order, arg *wire.Message, err error) {
	kind, m, err := wire.Recv(conn)
	if err != nil {
		return o, nil, err
	}
	defer m.Close()
	if kind != frameOrder {
		return o, nil, fmt.Errorf("frame %d instead of an order", kind)
	}
	if err := wire.Decode(m, reflect.ValueOf(&o).Elem()); err != nil {
		return o, nil, err
	}
	kind, arg, err = wire.Recv(conn)
	if err == nil && kind != frameArgument {
		arg.Close()
		return o, nil, fmt.Errorf("frame %d instead of an argument", kind)
	}
	return o, arg, err
}

// lifeline kills this process when the parent's end of the socket closes: the
// parent is dead. It is as sudden as the parent-death signal that it doubles.
func lifeline(conn *wire.Conn) {
	for {
		_, m, err := wire.Recv(conn)
		if err != nil {
			dieOf(unix.SIGKILL)
		}
		m.Close() // of a later version
	}
}

// obeySignals makes SIGTERM cancel the function's context. SIGINT, which a
// terminal sends to parent and children alike, is left to the parent: caught,
// not ignored, because programs that this one starts would inherit that.
func obeySignals(cancel context.CancelCauseFunc) (terminated *atomic.Bool) {
	terminated = new(atomic.Bool)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		for s := range signals {
			if s == unix.SIGTERM {
				terminated.Store(true)
				cancel(errTerminated)
			}
		}
	}()
	return terminated
}

// dieOf ends this process by the signal, so that the parent sees that.
func dieOf(s unix.Signal) {
	signal.Reset(s)
	_ = unix.Kill(os.Getpid(), s) // always allowed
	select {}
}

// perform runs the function on the main goroutine. Of the two results one is
// not nil. A panic is caught: this process ends, but the parent gets to know
// why. Locks that were not released on the way stay with the dead.
func perform(ctx context.Context, conn *wire.Conn, name string, arg *wire.Message) (result *wire.Message, f *failure) {
	run := programs[name]
	if run == nil {
		text := failureOf(fmt.Errorf("start %q: %w", name, errNoFunction))
		return nil, &text
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		goexit := v == nil
		if goexit {
			v = errGoexit
		}
		text := failureOf(v)
		text.Panic, text.Stack = true, string(debug.Stack())
		f = &text
		if goexit { // this deferred call is all that is left of the main goroutine
			os.Exit(answer(conn, nil, f))
		}
	}()
	result, err := run(ctx, arg)
	returned = true
	if err != nil {
		text := failureOf(err)
		return nil, &text
	}
	return result, nil
}

// answer tells the parent, and returns the exit code. If the parent is gone,
// nobody will look at either.
func answer(conn *wire.Conn, result *wire.Message, f *failure) int {
	if f == nil {
		_ = wire.Send(conn, frameResult, result)
		return exitOK
	}
	if m, err := wire.Encode(reflect.ValueOf(*f)); err == nil {
		_ = wire.Send(conn, frameFailure, m)
	}
	if !f.Panic {
		return exitError
	}
	fmt.Fprintf(os.Stderr, "panic: %s\n\n%s", f.Text, f.Stack)
	return exitPanic
}
