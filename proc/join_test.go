package proc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// Python: _TestProcess.test_sentinel — differs: Done is a channel, not a descriptor
func TestDone(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerLines, x.addr, nil)
	p := x.answer(t)
	select {
	case <-c.Done():
		require.Fail(t, "it waits for us")
	default:
	}
	p.say(t, "end")
	<-c.Done()
	<-c.Done()
	require.False(t, c.Alive())
}

func TestJoinWithCancelledContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerLines, x.addr, nil)
	p := x.answer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Join(ctx), context.Canceled)
	_, err := c.Result(ctx)
	require.ErrorIs(t, err, context.Canceled)

	p.say(t, "still there?") // the end of Join's context does not end the process
	p.expect(t, "still there?")
	p.say(t, "end")
	<-c.Done()
	require.NoError(t, c.Join(ctx), "what has happened counts more")
	_, err = c.Result(ctx)
	require.NoError(t, err, "an earlier failure to wait is not remembered")
}

func TestManyJoin(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerAndDie, x.addr, nil)
	x.answer(t).expect(t, "ready")
	var joins sync.WaitGroup
	errs, results := make([]error, 50), make([]int, 50)
	for i := range errs {
		joins.Go(func() {
			errs[i] = c.Join(t.Context())
			results[i], _ = c.Result(t.Context())
		})
	}
	c.Terminate()
	joins.Wait()
	for i, err := range errs {
		require.EqualError(t, err, errs[0].Error())
		require.Equal(t, 5, results[i])
	}
}

// Python: _TestProcess.test_close — differs: a closed process still tells its pid, name and exit code
func TestClose(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, answerLines, x.addr, nil)
	p := x.answer(t)
	err := c.Close()
	require.ErrorIs(t, err, proc.ErrRunning)
	require.ErrorContains(t, err, "(pid "+itoa(c.Pid())+")")
	p.say(t, "end")
	require.NoError(t, c.Join(t.Context()))

	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "closing twice is allowed")
	require.ErrorIs(t, c.Join(t.Context()), proc.ErrClosed)
	_, err = c.Result(t.Context())
	require.ErrorIs(t, err, proc.ErrClosed)
	require.False(t, c.Alive())
	require.Equal(t, 0, exitCode(t, c.Process))
}

// A result that was asked for before Close is not given afterwards either.
func TestCloseAfterResult(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, square, 4, nil)
	got, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Equal(t, 16, got)
	require.NoError(t, c.Close())
	got, err = c.Result(t.Context())
	require.ErrorIs(t, err, proc.ErrClosed)
	require.Zero(t, got)
}

// A lateContext has ended, and says so only after something else has happened.
type lateContext struct {
	context.Context
	before func()
}

func (c lateContext) Err() error {
	c.before()
	return context.DeadlineExceeded
}

// A process that ends while Result gives up waiting has its own error, not that of
// the context.
func TestProcessEndsAsTheContextDoes(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	c := start(t, puppet, cue{x.addr, 3}, nil)
	player := x.enter(t)
	_, _ = c.Result(lateContext{ended(), func() { // either error will do
		player.say(t, "fail")
		<-c.Done()
	}})
	_, err := c.Result(t.Context())
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
}
