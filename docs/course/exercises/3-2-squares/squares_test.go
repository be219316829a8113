package squares

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

func TestSquare(t *testing.T) {
	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7, 8, 8, 9, 3, 3, 3}, nil)
	require.NoError(t, err)
	defer numbers.Close()

	pids, err := Square(t.Context(), numbers)
	require.NoError(t, err)
	require.Equal(t, []int32{4, 9, 36, 49, 64, 64, 81, 9, 9, 9}, numbers.Copy())
	slices.Sort(pids)
	require.Len(t, slices.Compact(pids), 10, "ten processes")
	require.NotContains(t, pids, os.Getpid())
	require.Empty(t, proc.Children(), "all of them have ended")
}
