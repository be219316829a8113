package proctest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long the test waits for a helper before it calls it stuck. It
// is generous, since a loaded machine is slow and a correct helper never
// reaches it.
const limit = 60 * time.Second

// A Proc is a helper process, seen from the test that started it. Its methods
// that take a testing.TB end the test when they fail, so they must be called
// from the goroutine of the test.
type Proc struct {
	name  string
	cmd   *exec.Cmd
	in    *os.File    // the helper's standard input, and its lifeline
	lines chan string // what it says; closed at the end of its standard output
	ended chan struct{}
	err   error // of cmd.Wait; valid once ended is closed
	heard bool  // Wait has reported err
}

// launch runs functions on one thread that never ends: the parent-death signal
// of a child is sent when the thread that started it ends, not the process.
var launch = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start runs the program in a new process. The files appear there as
// [Helper.Files], the arguments as [Helper.Args]; standard error is the test's.
//
// The helper is killed and reaped when the test ends. If it had by then failed
// on its own (exit status above 0, a detected data race included) and Wait had
// not told the test, the test fails.
func (pr *Program) Start(t testing.TB, files []*os.File, args ...string) *Proc {
	t.Helper()
	if !inMain.Load() {
		t.Fatal("proctest: TestMain must call proctest.Main")
	}
	pr.started.Store(true)
	stdin, in := pipe(t)
	out, stdout := pipe(t)
	p := &Proc{
		name:  pr.name,
		in:    in,
		lines: make(chan string, 1024),
		ended: make(chan struct{}),
		cmd: &exec.Cmd{
			Path:        "/proc/self/exe",
			Args:        append([]string{argv0 + pr.name, strconv.Itoa(len(files))}, args...),
			Stdin:       stdin,
			Stdout:      stdout,
			Stderr:      os.Stderr,
			ExtraFiles:  files,
			SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, // a stopped helper reads no lifeline
		},
	}
	started := make(chan error)
	launch() <- func() { started <- p.cmd.Start() }
	err := <-started
	closeAll(stdin, stdout)
	if err != nil {
		closeAll(in, out)
		t.Fatalf("proctest: start helper %s: %v", pr.name, err)
	}
	go p.receive(out)
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.cleanup(t, out) })
	return p
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe() // close-on-exec, both ends
	if err != nil {
		t.Fatalf("proctest: %v", err)
	}
	return r, w
}

// closeAll closes pipes, which cannot fail in a way that a test cares about.
func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

func (p *Proc) receive(out io.Reader) {
	defer close(p.lines)
	for in := bufio.NewScanner(out); in.Scan(); {
		p.lines <- in.Text()
	}
}

func (p *Proc) cleanup(t testing.TB, out *os.File) {
	select {
	case <-p.ended:
		if !p.heard && p.cmd.ProcessState.ExitCode() > 0 {
			t.Errorf("proctest: %s failed: %v", p, p.err)
		}
	default:
	}
	p.Kill(t)
	closeAll(p.in, out)
	for range p.lines { // until the reader has gone
	}
}

// String names the helper and its process in messages.
func (p *Proc) String() string { return fmt.Sprintf("helper %s (pid %d)", p.name, p.Pid()) }

// Pid returns the process id of the helper.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Gate waits until every helper has called Ready, then lets them all go on.
func Gate(t testing.TB, procs ...*Proc) {
	t.Helper()
	for _, p := range procs {
		p.Expect(t, readyLine)
	}
	for _, p := range procs {
		p.Tell(t, goLine)
	}
}

// Line returns the next line that the helper says. The test fails if the helper
// ends before, or is silent for a minute; then its goroutines are dumped to
// standard error.
func (p *Proc) Line(t testing.TB) string {
	t.Helper()
	line, ok := p.next(t)
	if !ok {
		<-p.ended
		t.Fatalf("proctest: %s ended without a further line: %v", p, p.cmd.ProcessState)
	}
	return line
}

// next reports false when there is no further line and the helper has ended.
func (p *Proc) next(t testing.TB) (line string, ok bool) {
	t.Helper()
	select {
	case line, ok = <-p.lines:
		if ok {
			return line, true
		}
		p.end(t)
	case <-p.ended:
		// A child of the helper may hold its standard output open, so that the
		// end of the lines is never seen; what the helper said is in the pipe.
		select {
		case line, ok = <-p.lines:
		case <-time.After(time.Second):
		}
	case <-time.After(limit):
		p.stuck(t)
	}
	return line, ok
}

// Expect fails the test unless the next line that the helper says is want.
func (p *Proc) Expect(t testing.TB, want string) {
	t.Helper()
	if got := p.Line(t); got != want {
		t.Fatalf("proctest: %s said %q, want %q", p, got, want)
	}
}

// Tell sends a line to the helper, which receives it with Listen.
func (p *Proc) Tell(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatalf("proctest: tell %s %q: %v", p, line, err)
	}
}

// Signal sends a signal. It does not wait for anything to happen.
func (p *Proc) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

func (p *Proc) mustSignal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatalf("proctest: send %v to %s: %v", sig, p, err)
	}
}

// Kill ends the helper by SIGKILL and waits until it is reaped. A helper that
// has ended already is left as it is.
func (p *Proc) Kill(t testing.TB) {
	t.Helper()
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("proctest: kill %s: %v", p, err)
	}
	<-p.ended
}

// Stop suspends the helper by SIGSTOP and waits until all its threads stand.
func (p *Proc) Stop(t testing.TB) {
	t.Helper()
	p.mustSignal(t, syscall.SIGSTOP)
	p.AwaitStop(t)
}

// AwaitStop waits until all threads of a helper stand that stops by itself.
func (p *Proc) AwaitStop(t testing.TB) {
	t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WSTOPPED, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatalf("proctest: wait until %s is stopped: %v", p, err)
		}
	}
}

// Cont lets a stopped helper go on.
func (p *Proc) Cont(t testing.TB) {
	t.Helper()
	p.mustSignal(t, syscall.SIGCONT)
}

// Wait blocks until the helper has ended. It returns nil for exit status 0,
// else an [*exec.ExitError].
func (p *Proc) Wait(t testing.TB) error {
	t.Helper()
	p.end(t)
	p.heard = true
	return p.err
}

// end waits until the helper has ended, and fails the test if it does not.
func (p *Proc) end(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.stuck(t)
	}
}

// stuck fails the test, after the helper has written its goroutines to standard
// error: that is what a Go program does on SIGQUIT, if it is not stopped.
func (p *Proc) stuck(t testing.TB) {
	t.Helper()
	p.mustSignal(t, syscall.SIGQUIT)
	p.mustSignal(t, syscall.SIGCONT)
	select {
	case <-p.ended:
	case <-time.After(limit / 10):
	}
	t.Fatalf("proctest: %s is stuck: nothing for %v; its goroutines are on standard error", p, limit)
}
