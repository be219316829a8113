package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/inherit"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// Options tune Start. Nil means the defaults.
type Options struct {
	// Name is the process's name.
	//
	// The default is Process-1, Process-2, and so on; in a child, its own name
	// goes before: Process-1:1.
	Name string

	// Grace is how long a process that is asked to end may take before it is
	// killed.
	//
	// The default is 5 seconds.
	Grace time.Duration

	stderr *os.File                                     // instead of this process's own
	handle func(p *Process, kind byte, m *wire.Message) // see Process
}

const defaultGrace = 5 * time.Second

// Frames on the control socket.
const (
	frameOrder byte = 1 + iota // parent to child: what to run, and as whom
	frameArgument
	frameResult // child to parent
	frameFailure
)

// An order is the first frame.
type order struct {
	Func   string
	Name   string
	Parent Info
	Depth  int // of pools within pools: how many the parent is in
}

// Start runs the function with arg in a process of its own, and returns while
// it runs. The function may be started any number of times, also at once.
//
// When ctx ends, the process is ended: see [Process.Terminate]. A process is
// waited for in the background, so calling Join or Result is a matter of
// wanting to know.
//
// It fails with ErrNoMain if main did not call Main first, with the context's
// error if ctx has ended, or if the argument cannot be encoded or the system
// refuses a process. A child costs two descriptors while it runs.
func (f *Func[A, R]) Start(ctx context.Context, arg A, o *Options) (*Call[R], error) {
	if !mainCalled.Load() {
		return nil, fmt.Errorf("start %s: %w", f.name, ErrNoMain)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("proc: start %s: %w", f.name, err)
	}
	m, err := wire.Encode(reflect.ValueOf(&arg).Elem())
	if err != nil {
		return nil, fmt.Errorf("proc: start %s: encode the argument: %w", f.name, explain(err))
	}
	p, err := start(ctx, f.name, m, o)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("proc: start %s: %w", f.name, explain(err))
	}
	c := &Call[R]{Process: p}
	c.take = sync.OnceValues(c.decode)
	return c, nil
}

// start makes the process and hands it its order. It takes over the argument
// unless it fails.
func start(ctx context.Context, fn string, arg *wire.Message, o *Options) (*Process, error) {
	if o == nil {
		o = &Options{}
	}
	p := &Process{name: o.Name, grace: o.Grace, handle: o.handle, done: make(chan struct{})}
	if p.name == "" {
		p.name = nextName()
	}
	if p.grace <= 0 {
		p.grace = defaultGrace
	}
	if _, err := roster.Join(); err != nil {
		return nil, err
	}
	ours, theirs, err := wire.Pair()
	if err != nil {
		return nil, err
	}
	err = p.exec(theirs, fn, o.stderr)
	_ = theirs.Close() // the child has its own
	if err != nil {
		_ = ours.Close() // the error at hand says more
		return nil, err
	}
	p.conn = ours
	p.watch(ctx, order{Func: fn, Name: p.name, Parent: Current(), Depth: depth()}, arg)
	return p, nil
}

// exec starts this program again, with the other end of the control socket.
//
// It runs on the keeper's thread: the parent-death signal follows the thread
// that started the child, and that one ends with this process. The signal is
// the net under the lifeline, for a child that is stopped and reads nothing.
func (p *Process) exec(control *os.File, fn string, stderr *os.File) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }() // opened for reading
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if stderr == nil {
		stderr = os.Stderr
	}
	argv := []string{fmt.Sprintf("%s: %s (%s)", filepath.Base(executable), fn, p.name)}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Env:   append([]string{inherit.Environ(inherit.Inherited{Control: 3, Roster: 4})}, os.Environ()...), // the first of a name counts
		Files: []uintptr{null.Fd(), os.Stdout.Fd(), stderr.Fd(), control.Fd(), roster.File().Fd()},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, PidFD: &pidfd},
	}
	roster.OnKeeper(func() {
		p.pid, err = syscall.ForkExec("/proc/self/exe", argv, attr)
	})
	if err != nil {
		return err
	}
	if pidfd < 0 || unix.SetNonblock(pidfd, true) != nil {
		_ = unix.Kill(p.pid, unix.SIGKILL) // our own child, not reaped yet
		_, _ = unix.Wait4(p.pid, nil, 0, nil)
		return errors.New("the kernel has no pidfd: Linux 5.4 is needed")
	}
	p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	return nil
}

// explain adds to the error of too few descriptors how many a child takes.
func explain(err error) error {
	if !errors.Is(err, unix.EMFILE) {
		return err
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	return fmt.Errorf("%w: a child takes 2 descriptors while it runs and at its start, for a moment, 4 more and one for each shared object in its argument; this process may have %d", err, limit.Cur)
}
