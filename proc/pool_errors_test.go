package proc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	psync "github.com/go-multiproc/multiproc/sync"
)

// What a task could not say itself, its errors still say in the parent.
func TestErrorsOfTasks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for what, f := range failures {
		_, err := failWith.Submit(t.Context(), p, what).Get(t.Context())
		var remote *proc.RemoteError
		require.ErrorAs(t, err, &remote)
		require.Equal(t, f.err.Error(), remote.Text)
		require.Equal(t, fmt.Sprintf("%T", f.err), remote.Type)
		require.Equal(t, "fail with", taskError(t, err).Func)
		requireKnown(t, err, f.known)
	}
	for _, what := range []string{"own", "not there"} {
		_, err := panicWith.Submit(t.Context(), p, what).Get(t.Context())
		var panicked *proc.PanicError
		require.ErrorAs(t, err, &panicked)
		requireKnown(t, err, failures[what].known)
	}
}

// A lostError is registered, and arrives as a copy.
type lostError struct {
	Place string
	Tries []int
}

func (e *lostError) Error() string { return "lost at " + e.Place }

// A plainError is no pointer.
type plainError struct{ Code int }

func (e plainError) Error() string { return fmt.Sprint("plain ", e.Code) }

var (
	_ = proc.RegisterError[*lostError]("lost")
	_ = proc.RegisterError[plainError]("plain")
)

var getLost = proc.RegisterTask("get lost", func(_ context.Context, how string) error {
	err := fmt.Errorf("on the way: %w", &lostError{"sea", []int{1, 2}})
	switch how {
	case "panic":
		panic(err)
	case "plain":
		return errors.Join(errors.New("first"), plainError{5})
	case "all":
		return fmt.Errorf("%w: %w: %w", err, plainError{5}, failures["owner"].err)
	}
	return err
})

func TestRegisteredErrors(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	for _, how := range []string{"return", "panic"} {
		_, err := getLost.Submit(t.Context(), p, how).Get(t.Context())
		var lost *lostError
		require.ErrorAs(t, err, &lost, how)
		require.Equal(t, &lostError{"sea", []int{1, 2}}, lost)
		require.ErrorAs(t, start(t, getLost, how, nil).Join(t.Context()), &lost, "of a process")
	}
	_, err := getLost.Submit(t.Context(), p, "plain").Get(t.Context())
	var plain plainError
	require.ErrorAs(t, err, &plain)
	require.Equal(t, plainError{5}, plain)

	// The lock's own error is registered already, and hides none of the caller's.
	_, err = getLost.Submit(t.Context(), p, "all").Get(t.Context())
	for _, err := range []error{err, start(t, getLost, "all", nil).Join(t.Context())} {
		require.ErrorIs(t, err, psync.ErrOwnerDied)
		var owner *psync.OwnerDiedError
		require.ErrorAs(t, err, &owner)
		require.Equal(t, 1, owner.Pid)
		var lost *lostError
		require.ErrorAs(t, err, &lost)
		require.ErrorAs(t, err, &plain)
	}

	require.PanicsWithValue(t, "proc: RegisterError needs a name", func() { proc.RegisterError[*ownError]("") })
	require.PanicsWithValue(t, `proc: the error name "lost" is registered twice`, func() { proc.RegisterError[*ownError]("lost") })
	require.Panics(t, func() { proc.RegisterError[error]("interface") })
}
