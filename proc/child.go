package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
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

var (
	// control is the socket to the parent, for the main goroutine to send on.
	control atomic.Pointer[wire.Conn]

	// orders is what a worker of a pool does with its parent's frames.
	orders atomic.Pointer[func(kind byte, m *wire.Message)]
)

// runChild is a child's whole life: take the order, run the function, answer.
// It returns the exit code.
func runChild(socket int) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	end := &ending{cancel: cancel}
	obedient := make(chan struct{})
	go func() { // takes a fraction of a millisecond
		end.obeySignals()
		close(obedient)
	}()
	conn, err := wire.NewConn(socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "proc: control socket:", err)
		return exitError
	}
	o, arg, err := receiveOrder(conn)
	<-obedient
	switch {
	case ended(err):
		dieOf(unix.SIGTERM) // the parent has changed its mind, or has gone
	case err != nil:
		f := failureOf(err)
		return answer(conn, nil, &f)
	}
	self.Store(&identity{Info: Info{Name: o.Name, Pid: os.Getpid()}, parent: &o.Parent, depth: o.Depth})
	control.Store(conn)
	nameProcess(o.Func)
	go lifeline(conn, end)

	result, f := perform(ctx, conn, o.Func, arg)
	code := answer(conn, result, f)
	if end.asked.Load() {
		dieOf(unix.SIGTERM)
	}
	return code
}

// nameProcess sets the name that ps and top show, which the kernel cuts to 15
// bytes. It is for people only, so errors do not matter.
func nameProcess(fn string) {
	fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte("mp:"+fn))
	_ = unix.Close(fd)
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

// ended reports whether an error of receiving is the end of the stream.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// An ending is the request to end, from the parent or by a signal.
type ending struct {
	asked  atomic.Bool
	cancel context.CancelCauseFunc // of the function's context
}

func (e *ending) ask(why error) {
	e.asked.Store(true)
	e.cancel(why)
}

// lifeline watches the parent. It sends no more, or cannot be heard any more: the
// process is to end. It has closed its end: it is dead, and this process goes as
// suddenly as by the parent-death signal that this doubles.
func lifeline(conn *wire.Conn, e *ending) {
	for {
		kind, m, err := wire.Recv(conn)
		if ended(err) {
			e.ask(errTerminated)
			break
		}
		if err != nil {
			e.ask(fmt.Errorf("hear the parent: %w", err))
			break
		}
		if handle := orders.Load(); handle != nil {
			(*handle)(kind, m)
		}
		m.Close()
	}
	if handle := orders.Load(); handle != nil {
		(*handle)(frameNone, nil)
	}
	_ = conn.AwaitClose() // an error means as much
	dieOf(unix.SIGKILL)
}

// obeySignals makes SIGTERM ask this process to end. SIGINT, which a terminal
// sends to parent and children alike, is left to the parent: caught, not
// ignored, because programs that this one starts would inherit that.
func (e *ending) obeySignals() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT) // in a channel of its own: one that is full takes no SIGTERM
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGTERM)
	go func() {
		for range asked {
			e.ask(errTerminated)
		}
	}()
}

// dieOf ends this process by the signal, so that the parent sees that. The function
// may have had it ignored, which Reset alone would leave.
func dieOf(s unix.Signal) {
	signal.Notify(make(chan os.Signal, 1), s)
	signal.Reset(s)
	_ = unix.Kill(os.Getpid(), s) // always allowed
	select {}
}

// perform runs the function on the main goroutine. Of the two results one is
// not nil. A panic is caught: this process ends, but the parent gets to know
// why. Locks that were not released on the way stay with the dead.
func perform(ctx context.Context, conn *wire.Conn, name string, arg *wire.Message) (result *wire.Message, f *failure) {
	fn := programs[name]
	if fn == nil {
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
	result, err := fn.run(ctx, arg)
	if err != nil {
		text := failureOf(err) // which calls a method of the error
		f = &text
	}
	returned = true
	return result, f
}

// answer tells the parent, and returns the exit code. If the parent is gone,
// nobody will look at either.
func answer(conn *wire.Conn, result *wire.Message, f *failure) int {
	if f == nil {
		before := conn.Written()
		err := wire.Send(conn, frameResult, result)
		if err == nil {
			return exitOK
		}
		if conn.Written() != before {
			return exitError // the parent is gone
		}
		text := failureOf(fmt.Errorf("send the result: %w", err)) // the system refuses the descriptors, say
		f = &text
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
