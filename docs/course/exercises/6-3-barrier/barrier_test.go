package barrier

import (
	"context"
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

func TestBlur(t *testing.T) {
	const rounds = 100
	start := []float64{0, 0, 0, 243, 0, 0, 81, 9}
	row, err := shm.ArrayOf(start, nil)
	require.NoError(t, err)
	defer row.Close()

	require.NoError(t, <-gate.Hold(t, row.Len(), func(ctx context.Context) error {
		return Blur(ctx, row, rounds)
	}))
	require.InDeltaSlice(t, alone(start, rounds), row.Copy(), 1e-9)
	require.Empty(t, proc.Children(), "all of them have ended")
}

// alone does the same in one process.
func alone(row []float64, rounds int) []float64 {
	for range rounds {
		next := make([]float64, len(row))
		for i := range row {
			for j := max(0, i-1); j <= min(i+1, len(row)-1); j++ {
				next[i] += row[j] / 3
			}
		}
		row = next
	}
	return row
}
