package squares

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

func TestSquare(t *testing.T) {
	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7, 8, 8, 9, 3, 3, 3}, nil)
	require.NoError(t, err)
	defer numbers.Close()

	var pids []int
	ended := gate.Hold(t, numbers.Len(), func(ctx context.Context) (err error) {
		pids, err = Square(ctx, numbers)
		return err
	})
	require.NoError(t, <-ended)
	require.Equal(t, []int32{4, 9, 36, 49, 64, 64, 81, 9, 9, 9}, numbers.Copy())
	slices.Sort(pids)
	require.Len(t, slices.Compact(pids), 10, "ten processes")
	require.NotContains(t, pids, os.Getpid())
	require.Empty(t, proc.Children(), "all of them have ended")
}
