package tiny

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/docs/course/exercises/gate"
	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	gate.Pass()
	proc.Main()
	m.Run()
}

func TestMap(t *testing.T) {
	var numbers, want []int
	for i := range 1000 {
		numbers = append(numbers, i)
		want = append(want, i*i)
	}
	var squares []int
	var pids map[int]bool
	ended := gate.Hold(t, 4, func(ctx context.Context) (err error) {
		squares, pids, err = Map(ctx, 4, numbers)
		return err
	})
	require.NoError(t, <-ended)
	require.Equal(t, want, squares)
	require.NotEmpty(t, pids)
	require.NotContains(t, pids, os.Getpid(), "that was this process itself")
	require.LessOrEqual(t, len(pids), 4)
	require.Empty(t, proc.Children(), "all of them have ended")
}
