package proc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// isDone reports whether a future has its outcome.
func isDone[R any](f *proc.Future[R]) bool {
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}

// Python: FutureTests.test_done
// Python: FutureTests.test_running — differs: a future does not tell whether it waits or runs
// Python: FutureTests.test_result_with_timeout — differs: the context of Get ends the wait
// Python: FutureTests.test_result_with_success
func TestFuture(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	f := puppet.Submit(t.Context(), p, cue{x.addr, 5})
	require.False(t, isDone(f))
	player := x.enter(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("not now")
	cancel(why)
	_, err := f.Get(ctx)
	require.Equal(t, why, err)
	require.False(t, isDone(f), "the task goes on")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := f.Get(t.Context()); got != 25 || err != nil {
				t.Error(got, err)
			}
		})
	}
	player.say(t, "return")
	all.Wait()
	require.True(t, isDone(f))
	got, err := f.Get(ctx)
	require.NoError(t, err, "a result that is there counts")
	require.Equal(t, 25, got)
}

// Python: FutureTests.test_exception_with_timeout — differs: Get returns the error, and its context ends the wait
// Python: FutureTests.test_exception_with_success
func TestFutureOfFailedTask(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	f := puppet.Submit(t.Context(), p, cue{x.addr, 5})
	player := x.enter(t)
	got := make(chan error)
	go func() {
		_, err := f.Get(t.Context())
		got <- err
	}()
	player.say(t, "fail")
	err := <-got
	require.ErrorContains(t, err, "own error 5")
	_, again := f.Get(t.Context())
	require.Equal(t, err, again)
}

// Python: FutureTests.test_cancel — differs: a task that runs is cancelled, too
// Python: FutureTests.test_cancelled — differs: Get says so, with ErrTaskCancelled
// Python: FutureTests.test_result_with_cancel
func TestFutureCancel(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	running, pending := puppet.Submit(t.Context(), p, cue{x.addr, 1}), puppet.Submit(t.Context(), p, cue{x.addr, 2})
	player := x.enter(t)
	got := make(chan error)
	for _, f := range []*proc.Future[int]{pending, running} {
		go func() {
			_, err := f.Get(t.Context())
			got <- err
		}()
		f.Cancel()
		require.ErrorIs(t, <-got, proc.ErrTaskCancelled)
		f.Cancel()
		require.True(t, isDone(f))
	}
	player.say(t, "obey")
	player.expect(t, "proc: the task was cancelled")
	finished := square.Submit(t.Context(), p, 3)
	n, err := finished.Get(t.Context())
	require.NoError(t, err)
	finished.Cancel()
	again, err := finished.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, n, again)
	failed := failThirds.Submit(t.Context(), p, 2)
	<-failed.Done()
	failed.Cancel()
	_, err = failed.Get(t.Context())
	require.NotErrorIs(t, err, proc.ErrTaskCancelled)
	var lost *lostError
	require.ErrorAs(t, err, &lost)
}

// Nobody has to ask for a result.
func TestFutureThatNobodyAsks(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var last *proc.Future[int]
	for i := range 1000 {
		last = square.Submit(t.Context(), p, i)
	}
	produce.Submit(t.Context(), p, large)
	_, err := last.Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

// Python: AsCompletedTests.test_no_timeout
// Python: WaitTests.test_all_completed — differs: it is a loop over AsCompleted
func TestAsCompleted(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	done, failed := square.Submit(t.Context(), p, 2), failThirds.Submit(t.Context(), p, 2)
	<-done.Done()
	<-failed.Done()
	futures := []*proc.Future[int]{done, failed}
	for _, c := range x.cues(3) {
		futures = append(futures, puppet.Submit(t.Context(), p, c))
	}
	players := make([]player, 3)
	for range 3 {
		player := x.enter(t)
		players[player.n] = player
	}
	var order []int
	for f := range proc.AsCompleted(t.Context(), futures...) {
		order = append(order, slices.Index(futures, f))
		if n := len(order); n >= 2 && n < 5 { // those that were done come first
			players[4-n].say(t, "return")
		}
	}
	require.Equal(t, []int{0, 1, 4, 3, 2}, order)
}

// Python: AsCompletedTests.test_duplicate_futures
// Python: WaitTests.test_20369
func TestAsCompletedDuplicates(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	f := square.Submit(t.Context(), p, 3)
	n := 0
	for got := range proc.AsCompleted(t.Context(), f, f, f) {
		require.Same(t, f, got)
		n++
	}
	require.Equal(t, 1, n)
	for range proc.AsCompleted[int](t.Context()) {
		require.Fail(t, "there is nothing")
	}
}

// Python: AsCompletedTests.test_future_times_out — differs: a context is the time-out, and ends the loop
// Python: AsCompletedTests.test_correct_timeout_exception_msg — differs: the context says why the loop has ended
// Python: WaitTests.test_timeout — differs: a context is the time-out
func TestAsCompletedContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	done, running := square.Submit(t.Context(), p, 2), puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	<-done.Done()
	ctx, cancel := context.WithCancel(t.Context())
	var seen []*proc.Future[int]
	for f := range proc.AsCompleted(ctx, done, running) {
		seen = append(seen, f)
		cancel()
	}
	require.Equal(t, []*proc.Future[int]{done}, seen)
	require.False(t, isDone(running))
	player.say(t, "return")
	_, err := running.Get(t.Context())
	require.NoError(t, err, "its task goes on")
	cancel()
}

// firstOf waits for the first future, or for the first that has failed.
func firstOf(ctx context.Context, failed bool, futures ...*proc.Future[int]) *proc.Future[int] {
	for f := range proc.AsCompleted(ctx, futures...) {
		if _, err := f.Get(ctx); !failed || err != nil {
			return f
		}
	}
	return nil
}

// Python: WaitTests.test_first_completed
// Python: WaitTests.test_first_completed_some_already_completed
func TestFirstCompleted(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	slow := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	quick := square.Submit(t.Context(), p, 21)
	require.Same(t, quick, firstOf(t.Context(), false, slow, quick))
	require.Same(t, quick, firstOf(t.Context(), false, slow, quick), "when it was done before")
	require.False(t, isDone(slow))
	player.say(t, "return")
}

// Python: WaitTests.test_first_exception
// Python: WaitTests.test_first_exception_some_already_complete
// Python: WaitTests.test_first_exception_one_already_failed
func TestFirstThatFails(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	slow, bad := puppet.Submit(t.Context(), p, cue{x.addr, 0}), puppet.Submit(t.Context(), p, cue{x.addr, 1})
	players := []player{x.enter(t), x.enter(t)}
	good := make(chan *proc.Future[int], 1)
	for _, one := range players {
		if one.n == 1 {
			one.say(t, "fail")
		}
	}
	require.Same(t, bad, firstOf(t.Context(), true, slow, bad))
	good <- square.Submit(t.Context(), p, 3)
	fine := <-good
	<-fine.Done()
	require.Same(t, bad, firstOf(t.Context(), true, fine, slow, bad), "when it had failed before")
	require.False(t, isDone(slow))
	for _, one := range players {
		if one.n == 0 {
			one.say(t, "return")
		}
	}
	<-slow.Done()
	require.Nil(t, firstOf(t.Context(), true, fine, slow))
}

// Python: FutureTests.test_done_callback_with_result — differs: a goroutine that waits for Done is a callback
// Python: FutureTests.test_done_callback_with_exception — differs: a goroutine that waits for Done is a callback
// Python: FutureTests.test_done_callback_with_cancel — differs: a goroutine that waits for Done is a callback
// Python: FutureTests.test_done_callback_already_successful — differs: a goroutine that waits for Done is a callback
// Python: FutureTests.test_done_callback_already_failed — differs: a goroutine that waits for Done is a callback
// Python: FutureTests.test_done_callback_already_cancelled — differs: a goroutine that waits for Done is a callback
func TestFutureDoneAsCallback(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	told := make(chan string)
	tell := func(f *proc.Future[int]) {
		<-f.Done()
		n, err := f.Get(t.Context())
		told <- fmt.Sprint(n, errors.Is(err, proc.ErrTaskCancelled), err != nil)
	}
	for _, tt := range []struct{ do, want string }{{"return", "16 false false"}, {"fail", "0 false true"}, {"cancel", "0 true true"}} {
		f := puppet.Submit(t.Context(), p, cue{x.addr, 4})
		go tell(f)
		player := x.enter(t)
		if tt.do == "cancel" {
			f.Cancel()
			player.say(t, "obey")
		} else {
			player.say(t, tt.do)
		}
		require.Equal(t, tt.want, <-told)
		go tell(f) // it is done already
		require.Equal(t, tt.want, <-told)
	}
}
