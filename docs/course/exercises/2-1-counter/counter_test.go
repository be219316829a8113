package counter

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/docs/course/exercises/gate"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) {
	gate.Pass()
	proc.Main()
	m.Run()
}

func TestCounter(t *testing.T) {
	const workers, times = 4, 1_000_000
	counter, err := shm.NewValue[int64](0, nil)
	require.NoError(t, err)
	defer counter.Close()

	counter.Lock()
	var pids []int
	ended := gate.Hold(t, workers, func(ctx context.Context) (err error) {
		pids, err = Processes(ctx, counter, workers, times)
		return err
	})
	gate.AwaitSleepers(t, func() bool { return len(proc.Children()) < workers || *counter.Ptr() != 0 })
	require.Len(t, proc.Children(), workers, "somebody has ended without the counter's lock")
	require.Zero(t, *counter.Ptr(), "somebody has added without the counter's lock")
	counter.Unlock()

	require.NoError(t, <-ended)
	require.Equal(t, Goroutines(workers, times), counter.Get())
	slices.Sort(pids)
	require.Len(t, slices.Compact(pids), workers, "processes")
	require.NotContains(t, pids, os.Getpid())
}
