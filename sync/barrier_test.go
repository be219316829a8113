package sync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A yard is the shared memory of a barrier's test.
type yard struct {
	Barrier psync.Barrier
	Count   atomic.Int64 // what an action or a party counts
	Inside  [8]int64     // plain: ordered by the barrier alone
}

// fenced stages a barrier for so many parties.
func fenced(t testing.TB, parties int) (*yard, *os.File) {
	t.Helper()
	y, file := stage[yard](t)
	require.NoError(t, y.Barrier.Init(parties))
	return y, file
}

var errAction = errors.New("the action failed")

// party does with a barrier what it is told. Its outcomes are ok or INDEX, broken,
// canceled, or the error.
var party = proctest.Register("party", play(func(ctx context.Context, y *yard, order string) string {
	b := &y.Barrier
	var rounds int
	if n, _ := fmt.Sscanf(order, "rounds %d", &rounds); n == 1 {
		return meet(y, rounds)
	}
	if n, _ := fmt.Sscanf(order, "hasten %d", &rounds); n == 1 {
		return hasten(y, rounds)
	}
	switch order {
	case "wait":
		return arrival(b.Wait(ctx))
	case "try":
		return arrival(b.Wait(ended()))
	case "act":
		return arrival(b.WaitAction(ctx, func() error { y.Count.Add(1); return nil }))
	case "act and wait":
		return arrival(b.WaitAction(ctx, func() error {
			y.Count.Add(1)
			<-ctx.Done()
			return nil
		}))
	case "act and fail":
		return arrival(b.WaitAction(ctx, func() error { return errAction }))
	case "act and panic":
		return arrival(b.WaitAction(ctx, func() error { panic("by action") }))
	case "register":
		return arrival(0, b.Register())
	case "unregister":
		b.Unregister()
	case "abort":
		b.Abort()
	case "reset":
		b.Reset()
	default:
		return "unknown order " + order
	}
	return "ok"
}))

func arrival(index int, err error) string {
	switch {
	case err == nil:
		return fmt.Sprint(index)
	case errors.Is(err, psync.ErrBroken):
		return "broken"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return err.Error()
}

// meet is one party's part in many rounds: nobody begins one before all have ended
// the one before, which plain stores show that the barrier alone orders.
func meet(y *yard, rounds int) string {
	for round := range rounds {
		index, err := y.Barrier.Wait(context.Background())
		if err != nil {
			return err.Error()
		}
		y.Inside[index] = int64(round + 1)
		if _, err := y.Barrier.Wait(context.Background()); err != nil {
			return err.Error()
		}
		for i := range y.Barrier.Parties() {
			if y.Inside[i] != int64(round+1) {
				return fmt.Sprintf("in round %d the party %d is in round %d", round+1, i, y.Inside[i])
			}
		}
		if _, err := y.Barrier.Wait(context.Background()); err != nil {
			return err.Error()
		}
	}
	return "ok"
}

// parties starts so many helpers.
func parties(t testing.TB, file *os.File, n int) []*proctest.Proc {
	t.Helper()
	procs := make([]*proctest.Proc, n)
	for i := range procs {
		procs[i] = party.Start(t, []*os.File{file})
	}
	return procs
}

// tellAll gives all of them one order.
func tellAll(t testing.TB, procs []*proctest.Proc, order string) {
	t.Helper()
	for _, p := range procs {
		p.Tell(t, order)
	}
}

// indexes wants each index once from the procs.
func indexes(t testing.TB, procs []*proctest.Proc, more ...string) {
	t.Helper()
	got, want := more, []string{}
	for _, p := range procs {
		got = append(got, p.Line(t))
	}
	for i := range got {
		want = append(want, fmt.Sprint(i))
	}
	require.ElementsMatch(t, want, got)
}

// awaitInside returns when so many parties are inside.
func awaitInside(b *psync.Barrier, n int) {
	for b.Waiting() != n {
		runtime.Gosched()
	}
}

// Python: _TestBarrier.test_barrier
func TestBarrier(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 5)
	procs := parties(t, file, 5)
	tellAll(t, procs, "rounds 1")
	for _, p := range procs {
		p.Expect(t, "ok")
	}
	require.Zero(t, y.Barrier.Waiting())
	require.Equal(t, 5, y.Barrier.Parties())
	require.False(t, y.Barrier.Broken())
}

// Python: _TestBarrier.test_barrier_10
func TestBarrierTenTimes(t *testing.T) {
	proctest.NoLeaks(t)
	_, file := fenced(t, 5)
	procs := parties(t, file, 5)
	tellAll(t, procs, "rounds 10")
	for _, p := range procs {
		p.Expect(t, "ok")
	}
}

// Python: _TestBarrier.test_wait_return
func TestBarrierIndex(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 5)
	procs := parties(t, file, 4)
	for range 3 {
		tellAll(t, procs, "wait")
		index, err := y.Barrier.Wait(t.Context())
		require.NoError(t, err)
		indexes(t, procs, fmt.Sprint(index))
	}
}

// Python: _TestBarrier.test_action — differs: each party brings its action, and the last one's is run
func TestBarrierAction(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 4)
	procs := parties(t, file, 4)
	for round := range 3 {
		tellAll(t, procs, "act")
		indexes(t, procs)
		require.EqualValues(t, round+1, y.Count.Load(), "one party ran it")
	}
}

// Python: _TestBarrier.test_abort
func TestBarrierAbort(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 4)
	procs := parties(t, file, 3)
	tellAll(t, procs, "wait")
	awaitInside(&y.Barrier, 3)
	y.Barrier.Abort()
	for _, p := range procs {
		p.Expect(t, "broken")
		ask(t, p, "wait", "broken")
	}
	require.True(t, y.Barrier.Broken())
	require.Zero(t, y.Barrier.Waiting())
	y.Barrier.Abort()
	index, err := y.Barrier.Wait(t.Context())
	require.ErrorIs(t, err, psync.ErrBroken)
	require.Equal(t, -1, index)
}

// Python: _TestBarrier.test_reset
func TestBarrierReset(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 4)
	procs := parties(t, file, 4)
	tellAll(t, procs, "wait")
	indexes(t, procs)
	tellAll(t, procs[:3], "wait")
	awaitInside(&y.Barrier, 3)
	y.Barrier.Reset()
	for _, p := range procs[:3] {
		p.Expect(t, "broken")
	}
	require.False(t, y.Barrier.Broken())
	tellAll(t, procs, "wait")
	indexes(t, procs)
}

// Python: _TestBarrier.test_abort_and_reset
func TestBarrierAbortAndReset(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	procs := parties(t, file, 3)
	tellAll(t, procs[:2], "wait")
	awaitInside(&y.Barrier, 2)
	do(t, procs[2], "abort")
	for _, p := range procs[:2] {
		p.Expect(t, "broken")
	}
	do(t, procs[2], "reset")
	tellAll(t, procs, "wait")
	indexes(t, procs)
}

// Python: _TestBarrier.test_timeout — differs: who times out gets its context's error, the others get ErrBroken
func TestBarrierTimeout(t *testing.T) {
	proctest.NoLeaks(t)
	y, file := fenced(t, 3)
	other := party.Start(t, []*os.File{file})
	other.Tell(t, "wait")
	awaitInside(&y.Barrier, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	index, err := y.Barrier.Wait(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, -1, index)
	other.Expect(t, "broken")
	ask(t, other, "wait", "broken")
}

// Python: _TestBarrier.test_default_timeout — differs: no default; a context given to each Wait
func TestBarrierContextOfAll(t *testing.T) {
	y, _ := fenced(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	failures := make(chan error)
	for range 2 {
		go func() {
			_, err := y.Barrier.Wait(ctx)
			failures <- err
		}()
	}
	first, second := <-failures, <-failures
	if errors.Is(first, psync.ErrBroken) {
		first, second = second, first
	}
	require.ErrorIs(t, first, context.DeadlineExceeded, "one has broken it")
	require.ErrorIs(t, second, psync.ErrBroken, "and the other has not")
}

// Python: _TestBarrier.test_single_thread
func TestBarrierOfOne(t *testing.T) {
	y, _ := fenced(t, 1)
	for range 3 {
		index, err := y.Barrier.Wait(ended())
		require.NoError(t, err)
		require.Zero(t, index)
	}
}

// Python: _TestBarrier.test_thousand
func TestBarrierThousandTimes(t *testing.T) {
	proctest.NoLeaks(t)
	_, file := fenced(t, 2)
	procs := parties(t, file, 2)
	tellAll(t, procs, "rounds 1000")
	for _, p := range procs {
		p.Expect(t, "ok")
	}
}

// More goroutines of few processes than processors: some are slow to learn that a
// round is over, while others are in the next one already.
func TestBarrierOfGoroutines(t *testing.T) {
	proctest.NoLeaks(t)
	const each = 4
	y, file := fenced(t, 2*each)
	other := regiment.Start(t, []*os.File{file}, "300", fmt.Sprint(each))
	proctest.Gate(t, other)
	require.NoError(t, drill(y, 300, each))
	require.NoError(t, other.Wait(t))
}

func hasten(y *yard, rounds int) string {
	for range rounds {
		if _, err := y.Barrier.Wait(context.Background()); err != nil {
			return err.Error()
		}
	}
	return "ok"
}
