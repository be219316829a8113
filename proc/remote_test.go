package proc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An ownError is of a type that the parent cannot rebuild.
type ownError struct{ code int }

func (e *ownError) Error() string { return fmt.Sprintf("own error %d \xff", e.code) }

// failures are what a function may return or panic with, and the well-known
// errors that the parent is to find in it.
var failures = map[string]struct {
	err   error
	known []error
}{
	"plain":     {errors.New("plain"), nil},
	"own":       {&ownError{3}, nil},
	"cancelled": {fmt.Errorf("wrapped: %w", context.Canceled), []error{context.Canceled}},
	"deadline":  {context.DeadlineExceeded, []error{context.DeadlineExceeded}},
	"timeout":   {os.ErrDeadlineExceeded, []error{os.ErrDeadlineExceeded}},
	"not there": {&fs.PathError{Op: "open", Path: "/nowhere", Err: syscall.ENOENT}, []error{fs.ErrNotExist, syscall.ENOENT}},
	"exists":    {fmt.Errorf("wrapped: %w", fs.ErrExist), []error{fs.ErrExist}},
	"forbidden": {syscall.EACCES, []error{fs.ErrPermission, syscall.EACCES}},
	"invalid":   {fs.ErrInvalid, []error{fs.ErrInvalid}},
	"closed":    {fs.ErrClosed, []error{fs.ErrClosed, proc.ErrClosed}},
	"EOF":       {io.EOF, []error{io.EOF}},
	"short":     {io.ErrUnexpectedEOF, []error{io.ErrUnexpectedEOF}},
	"pipe":      {io.ErrClosedPipe, []error{io.ErrClosedPipe}},
	"errno":     {os.NewSyscallError("write", syscall.ENOSPC), []error{syscall.ENOSPC}},
	"owner":     {fmt.Errorf("lock: %w", &psync.OwnerDiedError{Pid: 1}), []error{psync.ErrOwnerDied}},
	"joined":    {errors.Join(io.EOF, syscall.EINTR), []error{io.EOF, syscall.EINTR}},
}

var failWith = proc.RegisterTask("fail with", func(_ context.Context, what string) error { return failures[what].err })

var panicWith = proc.RegisterTask("panic with", func(_ context.Context, what string) error {
	if f, ok := failures[what]; ok {
		panic(f.err)
	}
	panic(what)
})

// requireKnown checks that err is all of those that it should be, and none of
// the others.
func requireKnown(t *testing.T, err error, known []error) {
	t.Helper()
	want := errors.Join(known...)
	for _, f := range failures {
		for _, k := range f.known {
			require.Equal(t, errors.Is(want, k), errors.Is(err, k), "%v is %v", err, k)
		}
	}
}

func TestRemoteError(t *testing.T) {
	for what, f := range failures {
		t.Run(what, func(t *testing.T) {
			proctest.NoLeaks(t)
			c := start(t, failWith, what, &proc.Options{Name: "worker"})
			err := c.Join(t.Context())
			var remote *proc.RemoteError
			require.ErrorAs(t, err, &remote)
			require.Equal(t, f.err.Error(), remote.Text)
			require.Equal(t, fmt.Sprintf("%T", f.err), remote.Type)
			require.Equal(t, "worker", remote.Name)
			require.Equal(t, c.Pid(), remote.Pid)
			require.EqualError(t, err, fmt.Sprintf("proc: worker (pid %d): %s", c.Pid(), f.err))
			requireKnown(t, err, f.known)
			require.Equal(t, 1, exitCode(t, c.Process))
		})
	}
}

func TestPanicWithError(t *testing.T) {
	proctest.NoLeaks(t)
	for _, what := range []string{"own", "not there", "owner"} {
		c := start(t, panicWith, what, nil)
		err := c.Join(t.Context())
		var p *proc.PanicError
		require.ErrorAs(t, err, &p)
		require.Equal(t, failures[what].err.Error(), p.Value)
		requireKnown(t, err, failures[what].known)
		require.Equal(t, 2, exitCode(t, c.Process))
	}
}

// A pointer that is nil and an error, of a type whose method needs more.
type badError struct{ text string }

func (e *badError) Error() string { return e.text }

var failBadly = proc.RegisterTask("fail badly", func(context.Context, proc.None) error {
	var e *badError
	return e
})

// An error whose text cannot be had is a panic like any other.
func TestErrorThatPanics(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, failBadly, proc.None{}, nil)
	var p *proc.PanicError
	require.ErrorAs(t, c.Join(t.Context()), &p)
	require.Contains(t, p.Value, "nil pointer dereference")
	require.Contains(t, p.Stack, "badError")
	require.Equal(t, 2, exitCode(t, c.Process))
}

func TestPanicError(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, panicWith, "heads up", &proc.Options{Name: "worker"})
	_, err := c.Result(t.Context())
	var p *proc.PanicError
	require.ErrorAs(t, err, &p)
	require.Equal(t, "heads up", p.Value)
	require.Equal(t, "worker", p.Name)
	require.Equal(t, c.Pid(), p.Pid)
	require.Contains(t, p.Stack, "remote_test.go:", "where the panic began")
	require.EqualError(t, err, fmt.Sprintf("proc: worker (pid %d) panicked: heads up", c.Pid()))
}

func TestGoexit(t *testing.T) {
	proctest.NoLeaks(t)
	err := start(t, leave, "goexit", nil).Join(t.Context())
	var p *proc.PanicError
	require.ErrorAs(t, err, &p)
	require.Equal(t, "the function called runtime.Goexit", p.Value)
}

var relay = proc.RegisterTask("relay", func(ctx context.Context, what string) error {
	c, err := failWith.Start(ctx, what, nil)
	if err != nil {
		return err
	}
	return c.Join(ctx)
})

// An error keeps what is known of it over two processes.
func TestErrorOfGrandchild(t *testing.T) {
	proctest.NoLeaks(t)
	err := start(t, relay, "not there", nil).Join(t.Context())
	requireKnown(t, err, failures["not there"].known)
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Equal(t, "*proc.RemoteError", remote.Type)
	require.Contains(t, remote.Text, "open /nowhere: no such file or directory")
}
