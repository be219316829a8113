package counter

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestCounter(t *testing.T) {
	const workers, times = 4, 100_000
	counter, err := shm.NewValue[int64](0, nil)
	require.NoError(t, err)
	defer counter.Close()

	pids, err := Processes(t.Context(), counter, workers, times)
	require.NoError(t, err)
	require.Equal(t, Goroutines(workers, times), counter.Get())
	slices.Sort(pids)
	require.Len(t, slices.Compact(pids), workers, "processes")
	require.NotContains(t, pids, os.Getpid())
}
