package proc

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
)

// Errors of pools that callers are expected to tell apart with errors.Is.
var (
	// ErrPoolClosed is the error of using a pool after Close or Terminate. It
	// matches os.ErrClosed.
	ErrPoolClosed error = &sentinel{"proc: the pool is closed", os.ErrClosed}

	// ErrPoolTerminated is the outcome of what a pool had not finished when it
	// was terminated. It matches ErrPoolClosed.
	ErrPoolTerminated error = &sentinel{"proc: the pool was terminated", ErrPoolClosed}

	// ErrTaskTimeout is the outcome of a task, or of an initialiser, that ran into its
	// time limit. It matches os.ErrDeadlineExceeded.
	ErrTaskTimeout error = &sentinel{"proc: the task took longer than it may", os.ErrDeadlineExceeded}

	// ErrTaskCancelled is the outcome of a [Future] that was cancelled. In a task it is
	// the cause of the end of its context if nobody wants the result any more: the
	// future was cancelled, or the call has failed, was left early or has lost its
	// context.
	ErrTaskCancelled = errors.New("proc: the task was cancelled")

	// ErrPoolCorrupt means that a worker has written into the pool's memory what it
	// must not: a task has written beyond its own. The pool has ended.
	ErrPoolCorrupt error = chunk.ErrCorrupt

	// ErrTooDeep means that pools of pools of pools are nested deeper than
	// PoolOptions.Depth allows.
	ErrTooDeep = errors.New("pools are nested too deeply")
)

// A sentinel is an error that matches a more general one, with a text of its own.
type sentinel struct {
	text    string
	general error
}

// Error returns the text.
func (s *sentinel) Error() string { return s.text }

// Unwrap returns the more general error.
func (s *sentinel) Unwrap() error { return s.general }

// within returns what err says, for a text that begins with the package's name.
func within(err error) string { return strings.TrimPrefix(err.Error(), "proc: ") }

// A TaskError says which of a call's inputs has failed, and how.
type TaskError struct {
	Func     string // name of the function
	Index    int    // of the input, from 0
	Worker   int    // index of the worker that had it last; -1 if none had
	Attempts int    // how often it was begun
	Err      error  // a *RemoteError, *PanicError, *WorkerDiedError, ErrTaskTimeout, ...
}

// Error names the function and the input.
func (e *TaskError) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("proc: %s: input %d, attempt %d: %s", e.Func, e.Index, e.Attempts, within(e.Err))
	}
	return fmt.Sprintf("proc: %s: input %d: %s", e.Func, e.Index, within(e.Err))
}

// Unwrap returns what happened.
func (e *TaskError) Unwrap() error { return e.Err }

// TaskErrors are the errors of a call with KeepGoing, in the order of the
// inputs.
type TaskErrors []*TaskError

// Error lists the first few.
func (e TaskErrors) Error() string {
	const most = 5
	var b strings.Builder
	inputs := "inputs have"
	if len(e) == 1 {
		inputs = "input has"
	}
	fmt.Fprintf(&b, "proc: %d %s failed", len(e), inputs)
	for i, one := range e {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e)-most)
			break
		}
		fmt.Fprintf(&b, "; %s", within(one))
	}
	return b.String()
}

// Unwrap returns them all.
func (e TaskErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// At returns the error of input i, or nil if it has none.
func (e TaskErrors) At(i int) error {
	for _, one := range e {
		if one.Index == i {
			return one
		}
	}
	return nil
}

// A WorkerDiedError says that a worker of a pool has died with a task in hand:
// it was killed, ran into a limit, or called os.Exit.
type WorkerDiedError struct {
	Worker int    // index in the pool
	Pid    int    // of the process
	Code   int    // exit status, or -N after signal N; -1 also if another part of this program took it
	Stderr string // the last 4 KiB of its standard error, after the line in which the Go runtime says why
}

// Error says how it died, with the last line that it wrote to its standard error.
func (e *WorkerDiedError) Error() string {
	text := fmt.Sprintf("worker %d (pid %d) %s", e.Worker, e.Pid, howEnded(e.Code))
	if line := lastLine(e.Stderr, e.Code); line != "" {
		text += ": " + line
	}
	return text
}

// lastLine returns the line of a dead program's last words that says most: the
// Go runtime's own if that has ended it, else the last one.
func lastLine(s string, code int) string {
	last := ""
	for line := range strings.Lines(s) {
		if byRuntime(code) && isCause(line) {
			last = line
		}
	}
	if last != "" {
		return strings.TrimSuffix(last, "\n")
	}
	s = strings.TrimRight(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// An InitError says that the workers of a pool cannot start: their initialiser
// has failed, or they died again and again before they were ready. The pool has
// ended.
type InitError struct {
	Func string // name of the initialiser; may be empty
	Err  error  // what happened
}

// Error says what failed.
func (e *InitError) Error() string {
	if e.Func == "" {
		return fmt.Sprintf("proc: the pool's workers do not start: %s", within(e.Err))
	}
	return fmt.Sprintf("proc: the pool's initialiser %s has failed: %s", e.Func, within(e.Err))
}

// Unwrap returns what happened.
func (e *InitError) Unwrap() error { return e.Err }

// A PartError says which part of a parallel-for has failed, and how. The part may
// be done by half: if its worker has died, nobody knows how far it came.
type PartError struct {
	Low, High int   // the part is [Low, High)
	Err       error // a *TaskError, whose Index counts parts
}

// Error names the part.
func (e *PartError) Error() string {
	return fmt.Sprintf("proc: the part [%d, %d) has failed: %s", e.Low, e.High, within(e.Err))
}

// Unwrap returns what happened.
func (e *PartError) Unwrap() error { return e.Err }

// timeLimit returns the outcome of a task that was ended for its time.
func timeLimit(limit time.Duration) error {
	return fmt.Errorf("%w: the limit is %v", ErrTaskTimeout, limit)
}
