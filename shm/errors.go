package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Errors that callers are expected to tell apart with errors.Is.
var (
	// ErrClosed is the error of using a closed segment, array, value, queue or
	// pipe. Methods without an error result panic with it.
	ErrClosed = os.ErrClosed

	// ErrType means that a type cannot lie in shared memory.
	ErrType = errors.New("type cannot be shared")

	// ErrLayout means that bytes are not what they should be: wrong magic,
	// version, type or size, or a file whose size can still change.
	ErrLayout = errors.New("layout does not match")

	// ErrRoster means that the segment's locks are judged by another roster of
	// processes than this process's: the two would disagree about who is alive.
	ErrRoster = errors.New("segment belongs to another roster of processes")

	// ErrSize means a length that is negative, too large, or not the same on
	// both sides of an assignment.
	ErrSize = errors.New("wrong size")

	// ErrLock means a lock that other processes could not find.
	ErrLock = errors.New("lock cannot be shared")

	// ErrNoLock is what methods that take the lock panic with if the object was
	// made without one.
	ErrNoLock = errors.New("object has no lock")

	// ErrIndex is what a method panics with when an index is out of range.
	ErrIndex = errors.New("index out of range")

	// ErrFull means that there is no room: in a queue or pipe, or in the table of
	// a queue's members.
	ErrFull = errors.New("full")

	// ErrEmpty means that there is nothing to get from a queue or pipe.
	ErrEmpty = errors.New("empty")

	// ErrBroken is the error of sending when nobody has the other end of the
	// pipe any more: EPIPE.
	ErrBroken error = unix.EPIPE

	// ErrDirection means sending at an end of a pipe that receives only, or the
	// other way round.
	ErrDirection = errors.New("wrong direction")

	// ErrCorrupt means that the words of a queue or pipe contradict each other:
	// a process has written where it must not. Nothing is repaired and nothing
	// skipped: what is damaged stays at the head, the error comes again, and
	// what lies behind it cannot be got. Make a new queue or pipe.
	ErrCorrupt = errors.New("shared memory is damaged")

	// ErrCode means an unknown numeric type code.
	ErrCode = errors.New("unknown type code")
)

// A closed error is ErrClosed for one of several reasons.
type closed string

const (
	errClosed   closed = "closed"
	errDetached closed = "detached"
	errSent     closed = "this end of the pipe was sent, and another has it"
)

// Error tells the reason.
func (e closed) Error() string { return string(e) }

// Is makes the error match ErrClosed.
func (closed) Is(target error) bool { return target == ErrClosed }

// An Error records a failed operation on shared memory.
type Error struct {
	Kind string // of the object: "segment", "array", "value", "queue" or "pipe"
	Name string // of the object, as in /proc/PID/maps; "" if it has none yet
	Op   string // "create", "attach", "put", ...
	Err  error  // cause: one of the errors of this package, or of the system
}

// Error starts with the package's name, which no other error of this package
// repeats: shm: queue "jobs": put: closed.
func (e *Error) Error() string {
	object := e.Kind
	if e.Name != "" {
		object = fmt.Sprintf("%s %q", e.Kind, e.Name)
	}
	return fmt.Sprintf("shm: %s: %s: %v", object, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed adds the object and what was tried to an error that is on its way to
// the caller. The answers that a caller expects stay as they are: that there is
// nothing or no room, the end of a pipe, the end of the context.
func failed(kind, name, op string, err error) error {
	switch err {
	case nil, ErrFull, ErrEmpty, io.EOF, context.Canceled, context.DeadlineExceeded:
		return err
	}
	return &Error{Kind: kind, Name: name, Op: op, Err: err}
}

// wrap is failed for a deferred call.
func wrap(err *error, kind, name, op string) { *err = failed(kind, name, op, *err) }
