package proc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A Process is a child of this process. Its methods may be called by several
// goroutines.
type Process struct {
	name  string
	pid   int
	grace time.Duration
	pidfd *os.File
	conn  *wire.Conn

	sending sync.Mutex                                   // one frame at a time
	handle  func(p *Process, kind byte, m *wire.Message) // frames of a pool's worker; may be nil

	ending sync.Once  // the first Terminate or end of the context
	cause  error      // why we ended it; under mu
	mu     sync.Mutex // guards cause, timer and, after the end, the result
	timer  *time.Timer
	closed atomic.Bool

	// Written before done is closed.
	done    chan struct{}
	code    int
	lost    bool          // nobody knows the code
	result  *wire.Message // nil if none arrived
	failure error         // what the function returned or panicked with
}

// A Call is a process, and the result that its function will have.
type Call[R any] struct {
	*Process

	take func() (R, error) // once: then it returns, or panics with, the same
}

// watch sends the order, receives what the child answers, and waits for its
// end, all in the background.
func (p *Process) watch(ctx context.Context, o order, arg *wire.Message) {
	children.add(p)
	stop := context.AfterFunc(ctx, func() { p.end(context.Cause(ctx)) })
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		p.converse(o, arg)
	}()
	go func() {
		p.awaitExit()
		// All that the child sent is in our socket. Whoever else may have a
		// copy of its end is not waited for.
		_ = p.conn.CloseRead()  // then a read finds the rest, and the end
		_ = p.conn.CloseWrite() // and a write an error
		<-answered
		if p.lost && p.result != nil {
			p.code = 0
		}
		stop()
		p.mu.Lock()
		if p.timer != nil {
			p.timer.Stop()
		}
		p.mu.Unlock()
		_ = p.conn.Close()  // nothing is left in it
		_ = p.pidfd.Close() // signals are no-ops from here on
		children.remove(p)
		close(p.done)
		await.Notify()
	}()
}

// converse sends what the child needs and takes what it answers. A child that
// cannot get its argument is killed: it would wait for it for ever. So is one that
// cannot be heard any more, and a worker that has closed its end: it would go on
// taking tasks from shared memory.
func (p *Process) converse(o order, arg *wire.Message) {
	p.sending.Lock()
	err := sendOrder(p.conn, o, arg)
	p.sending.Unlock()
	arg.Close()
	// A child that has gone, or is being ended, tells more than these two.
	if err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		p.failure = fmt.Errorf("proc: %s (pid %d): send the argument: %w", p.name, p.pid, err)
		p.Kill()
		return
	}
	for {
		kind, m, err := wire.Recv(p.conn)
		switch {
		case ended(err):
			if p.handle != nil {
				p.Kill() // of a process that is ending this changes nothing: its exit code is set before its end of the socket is closed
			}
			return
		case err != nil: // what it goes on to send would be lost, and it would wait for answers
			if p.failure == nil {
				p.failure = fmt.Errorf("proc: %s (pid %d): receive what it sends: %w", p.name, p.pid, err)
			}
			p.Kill()
			return
		}
		switch kind {
		case frameResult:
			p.result.Close()
			p.result = m
		case frameFailure:
			var f failure
			if wire.Decode(m, reflect.ValueOf(&f).Elem()) == nil {
				p.failure = f.error(p.name, p.pid)
			}
			m.Close()
		default:
			if p.handle != nil {
				p.handle(p, kind, m)
			}
			m.Close()
		}
	}
}

// send sends a frame to a worker of a pool. It blocks while that does not read,
// until it has ended.
func (p *Process) send(kind byte, m *wire.Message) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return wire.Send(p.conn, kind, m)
}

func sendOrder(conn *wire.Conn, o order, arg *wire.Message) error {
	m, err := wire.Encode(reflect.ValueOf(o))
	if err != nil {
		return err
	}
	if err := wire.Send(conn, frameOrder, m); err != nil {
		return err
	}
	return wire.Send(conn, frameArgument, arg)
}

// awaitExit waits until the process has ended, and reaps it. It costs a
// goroutine, no thread: the pidfd becomes readable.
func (p *Process) awaitExit() {
	reap := func(options int) bool {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(p.pid, &ws, options, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			return false
		case err != nil: // another part of this program has reaped it
			p.code, p.lost = -1, true
		case pid != p.pid:
			return false
		case ws.Signaled():
			p.code = -int(ws.Signal())
		default:
			p.code = ws.ExitStatus()
		}
		return true
	}
	c, err := p.pidfd.SyscallConn()
	if err == nil {
		err = c.Read(func(uintptr) bool { return reap(unix.WNOHANG) })
	}
	if err != nil { // the descriptor cannot be polled: it takes a thread after all
		for !reap(0) {
		}
	}
}

// Name returns the process's name.
func (p *Process) Name() string { return p.name }

// Pid returns the process id.
func (p *Process) Pid() int { return p.pid }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive reports whether the process has not ended yet. A stopped process is
// alive.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitCode returns how the process ended: its exit status, or -N after signal
// N. The function's end means 0, its error 1, its panic 2. It is -1 also if another
// part of this program took the code: see [ExitError]. It reports false while the
// process runs.
func (p *Process) ExitCode() (code int, ended bool) {
	if p.Alive() {
		return 0, false
	}
	return p.code, true
}

// Join waits until the process has ended, or ctx has: then the error is the
// context's, and the process goes on. Otherwise the error is that of the function, a [*RemoteError]
// or [*PanicError], or an [*ExitError] for an exit code that is not 0. Join may be
// called any number of times.
//
// The error is nil if the function returned without one; and if the process
// ended with status 0 in another way: the function called os.Exit(0), or did not
// run at all because the child's main ended before it came to [Main]. Only Result
// tells these apart.
func (p *Process) Join(ctx context.Context) error {
	if err := p.wait(ctx); err != nil {
		return err
	}
	return p.outcome()
}

// wait waits until the process has ended. An error means that it has not waited for
// that, and says nothing about the process.
func (p *Process) wait(ctx context.Context) error {
	if p.closed.Load() {
		return fmt.Errorf("proc: join %s: %w", p.name, ErrClosed)
	}
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// outcome returns the error of a process that has ended.
func (p *Process) outcome() error {
	switch {
	case p.failure != nil && p.reason() != nil:
		return fmt.Errorf("%w (it was ended: %w)", p.failure, p.reason())
	case p.failure != nil:
		return p.failure
	case p.code != 0:
		return p.exitError()
	}
	return nil
}

// reason returns the context's cause if its end ended the process.
func (p *Process) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// Result waits as Join does and returns what the function returned. A result
// that arrived counts, even if the process was killed afterwards. Errors are
// those of Join.
//
// Shared arrays and values in the result are the caller's to close. All calls that
// do not end with ctx return the same; if decoding the result panics, which a method
// of its own may do, all of them panic.
func (c *Call[R]) Result(ctx context.Context) (R, error) {
	if err := c.wait(ctx); err != nil {
		var none R
		return none, err
	}
	return c.take()
}

// decode returns the result of a process that has ended.
func (c *Call[R]) decode() (value R, err error) {
	if c.result == nil {
		return value, cmp.Or(c.outcome(), c.exitError()) // the latter: os.Exit(0) in the function
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.result.Close()
	err = wire.Decode(c.result, reflect.ValueOf(&value).Elem())
	return value, err
}

func (p *Process) exitError() error {
	return &ExitError{Name: p.name, Pid: p.pid, Code: p.code, Lost: p.lost, Err: p.reason()}
}

// Terminate asks the process to end, and returns at once. The context of its
// function is cancelled, and after the function's return the process ends by
// SIGTERM; one that has not ended when the grace period is over gets SIGKILL.
// Processes that it has started by this package are killed when it ends; other
// programs that it runs are not, unless they ask for that as this package does
// (syscall.SysProcAttr.Pdeathsig, which follows the thread that starts them).
// Terminate does nothing if the process has ended.
func (p *Process) Terminate() { p.end(nil) }

// Kill kills the process: SIGKILL. It does nothing if the process has ended.
func (p *Process) Kill() { _ = p.Signal(unix.SIGKILL) } // an error: it has ended

func (p *Process) end(cause error) {
	p.ending.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cause = cause
		_ = p.conn.CloseWrite() // closed: the process has ended
		p.timer = time.AfterFunc(p.grace, p.Kill)
	})
}

// Signal sends a signal to the process, never to a stranger that has its pid by now.
// SIGTERM asks it to end, as Terminate does, but without a limit of time; SIGINT is
// left to the parent: the process takes no notice of it, unless its function does. Both
// end one that has just been started and has not come to Main. The error matches
// [os.ErrProcessDone] if the process has ended.
func (p *Process) Signal(sig os.Signal) error {
	s, ok := sig.(unix.Signal)
	if !ok {
		return fmt.Errorf("proc: signal %s: %v is no signal of this system", p.name, sig)
	}
	err := os.ErrProcessDone
	if c, failed := p.pidfd.SyscallConn(); failed == nil {
		_ = c.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), s, nil, 0) }) // closed: it has ended
	}
	if errors.Is(err, unix.ESRCH) {
		err = os.ErrProcessDone
	}
	if err != nil {
		return fmt.Errorf("proc: signal %s: %w", p.name, err)
	}
	return nil
}

// Close says that the process is not needed any more. It fails with ErrRunning
// while the process runs; otherwise Join and Result fail with ErrClosed from
// now on. A process that is not closed leaks nothing: this is for finding
// mistakes. Closing twice is allowed.
func (p *Process) Close() error {
	if p.Alive() {
		return fmt.Errorf("close %s (pid %d): %w", p.name, p.pid, ErrRunning)
	}
	p.closed.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Close()
	return nil
}

// String describes the process and its state.
func (p *Process) String() string {
	state := "running"
	if code, ended := p.ExitCode(); ended {
		state = fmt.Sprintf("ended with code %d", code)
	}
	return fmt.Sprintf("%s (pid %d, %s)", p.name, p.pid, state)
}

var _ fmt.Stringer = (*Process)(nil)
var _ io.Closer = (*Process)(nil)
