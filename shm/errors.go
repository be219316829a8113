package shm

import (
	"errors"
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
	ErrDirection = errors.New("the end does not go this way")

	// ErrCorrupt means that the words of a queue or pipe contradict each other:
	// a process has written where it must not.
	ErrCorrupt = errors.New("shared memory is damaged")

	// ErrCode means an unknown numeric type code.
	ErrCode = errors.New("unknown type code")
)

// Errors that are an ordinary end of things, made once.
var (
	errQueueClosed error = &Error{Op: "use queue", Err: ErrClosed}
	errDetached    error = &Error{Op: "use queue after Detach", Err: ErrClosed}
	errSent        error = &Error{Op: "use pipe whose end was sent to another process", Err: ErrClosed}
)

// An Error records a failed operation on shared memory.
type Error struct {
	Op   string // "create", "attach", "place", ...
	Name string // of the segment, as in /proc/PID/maps; "" if it has none yet
	Err  error  // cause: one of the errors of this package, or of the system
}

// Error starts with the package's name, which no other error of this package
// repeats.
func (e *Error) Error() string {
	if e.Name == "" {
		return "shm: " + e.Op + ": " + e.Err.Error()
	}
	return "shm: " + e.Op + " " + e.Name + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap adds what was tried to an error that is on its way to the caller.
func wrap(err *error, op, name string) {
	if *err != nil {
		*err = &Error{Op: op, Name: name, Err: *err}
	}
}
