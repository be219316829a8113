package proc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// scan reads the numbers of a line that starts with prefix.
func scan(line, prefix string, numbers ...*int) {
	fields := strings.Fields(strings.TrimPrefix(line, prefix))
	if !strings.HasPrefix(line, prefix) || len(fields) != len(numbers) {
		return
	}
	for i, n := range numbers {
		_, _ = fmt.Sscan(fields[i], n)
	}
}

func TestContextCancelled(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := obedient.Start(ctx, x.addr, &proc.Options{Grace: never})
	require.NoError(t, err)
	x.answer(t).expect(t, "up")
	cancel()
	require.ErrorIs(t, c.Join(t.Context()), context.Canceled)
	require.Equal(t, -15, exitCode(t, c.Process))
}

func TestContextCancelledWithCause(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := stubborn.Start(ctx, x.addr, &proc.Options{Grace: time.Second}) // time enough to say something
	require.NoError(t, err)
	p := x.answer(t)
	p.expect(t, "up")
	cancel(enough)
	p.expect(t, "asked to end")
	err = c.Join(t.Context())
	var exit *proc.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -9, exit.Code)
	require.ErrorIs(t, err, enough)
	require.ErrorContains(t, err, "was ended by signal 9 (killed): enough")
}

func TestContextDeadline(t *testing.T) {
	proctest.NoLeaks(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, err := idle.Start(ctx, struct{}{}, nil)
	require.NoError(t, err)
	err = c.Join(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, -15, exitCode(t, c.Process))
}

func TestContextAlreadyCancelled(t *testing.T) {
	proctest.NoLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := square.Start(ctx, 1, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "proc: start square: context canceled")
	require.Empty(t, proc.Children())
}

// The end of the context means nothing to a process that has ended.
func TestContextCancelledAfterTheEnd(t *testing.T) {
	proctest.NoLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := square.Start(ctx, 3, nil)
	require.NoError(t, err)
	<-c.Done()
	cancel()
	got, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, got)
}

var causeOf = proc.Register("cause of", func(ctx context.Context, addr string) (string, error) {
	p, err := call(addr)
	if err == nil {
		err = p.tell("up")
	}
	<-ctx.Done()
	return context.Cause(ctx).Error(), err
})

func TestCauseInChild(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, causeOf, x.addr, nil)
	x.answer(t).expect(t, "up")
	c.Terminate()
	got, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the process was asked to end", got)
}
