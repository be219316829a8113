package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"syscall"

	psync "github.com/go-multiproc/multiproc/sync"
)

// Errors that callers are expected to tell apart with errors.Is.
var (
	// ErrNoMain means that Start was called in a program whose main function
	// did not call Main first: a child would run that program again.
	ErrNoMain = errors.New("proc.Main was not called first in main (in a test: in TestMain)")

	// ErrRunning is the error of closing a process that still runs.
	ErrRunning = errors.New("proc: process is still running")

	// ErrClosed is the error of using a closed process, connection or listener.
	ErrClosed = os.ErrClosed
)

// An ExitError says that a process ended by itself or was ended before its
// function returned, or with a status other than 0.
type ExitError struct {
	Name string // of the process
	Pid  int    // of the process
	Code int    // exit status, or -N after signal N
	Lost bool   // the code is not known: the program waits for its children by other means, too
	Err  error  // why it was ended, if this process did it: the context's cause
}

// Error describes the end.
func (e *ExitError) Error() string {
	how := howEnded(e.Code)
	if e.Lost {
		how = "has ended, and another part of this program took its exit code"
	}
	if e.Err != nil {
		return fmt.Sprintf("proc: %s (pid %d) %s: %v", e.Name, e.Pid, how, e.Err)
	}
	return fmt.Sprintf("proc: %s (pid %d) %s", e.Name, e.Pid, how)
}

// howEnded puts an exit code into words.
func howEnded(code int) string {
	if code < 0 {
		return fmt.Sprintf("was ended by signal %d (%v)", -code, syscall.Signal(-code))
	}
	return fmt.Sprintf("ended with status %d before its function returned", code)
}

// Unwrap returns why the process was ended.
func (e *ExitError) Unwrap() error { return e.Err }

// A RemoteError is an error that a function returned in another process. It
// unwraps to those of the well-known errors, such as context.Canceled or
// fs.ErrNotExist, to the error number, to a lock's *OwnerDiedError, and to the errors
// of registered types (see [RegisterError]) that the original unwraps to.
type RemoteError struct {
	Name string // of the process
	Pid  int    // of the process
	Text string // what the error's Error method said
	Type string // its Go type

	known []error
}

// Error returns the text of the original, and where it comes from.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("proc: %s (pid %d): %s", e.Name, e.Pid, e.Text)
}

// Unwrap returns the well-known errors among the causes.
func (e *RemoteError) Unwrap() []error { return e.known }

// A PanicError says that a function panicked in another process, which ended
// it. It unwraps as a [RemoteError] does if the panic's value was an error.
type PanicError struct {
	Name  string // of the process
	Pid   int    // of the process
	Value string // the panic's value, formatted
	Stack string // of the goroutine that panicked

	known []error
}

// Error returns the panic's value, and where it comes from.
func (e *PanicError) Error() string {
	return fmt.Sprintf("proc: %s (pid %d) panicked: %s", e.Name, e.Pid, e.Value)
}

// Unwrap returns the well-known errors among the causes.
func (e *PanicError) Unwrap() []error { return e.known }

// A failure is how an error or a panic travels.
type failure struct {
	Panic bool
	Text  string
	Type  string
	Stack string
	Known []int // indexes into wellKnown
	Errno int   // 0 if there is none among the causes

	Registered []registeredError
}

// wellKnown are the errors that keep their identity on the way. Both sides are
// the same program, so an index names one.
var wellKnown = []error{
	context.Canceled, context.DeadlineExceeded,
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid, os.ErrDeadlineExceeded,
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe,
	psync.ErrOwnerDied,
}

// failureOf describes a returned error, or what a panic was given.
func failureOf(v any) failure {
	err, ok := v.(error)
	if !ok {
		return failure{Text: fmt.Sprint(v), Type: fmt.Sprintf("%T", v)}
	}
	f := failure{Text: err.Error(), Type: reflect.TypeOf(err).String()}
	for i, known := range wellKnown {
		if errors.Is(err, known) {
			f.Known = append(f.Known, i)
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		f.Errno = int(errno)
	}
	f.Registered = encodeErrors(err)
	return f
}

// error rebuilds what can be rebuilt in the parent.
func (f *failure) error(name string, pid int) error {
	var known []error
	for _, i := range f.Known {
		if i >= 0 && i < len(wellKnown) {
			known = append(known, wellKnown[i])
		}
	}
	if f.Errno != 0 {
		known = append(known, syscall.Errno(f.Errno))
	}
	for _, e := range f.Registered {
		if err := e.decode(); err != nil {
			known = append(known, err)
		}
	}
	if f.Panic {
		return &PanicError{Name: name, Pid: pid, Value: f.Text, Stack: f.Stack, known: known}
	}
	return &RemoteError{Name: name, Pid: pid, Text: f.Text, Type: f.Type, known: known}
}
