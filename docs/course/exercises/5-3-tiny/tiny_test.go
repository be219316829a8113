package tiny

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestMap(t *testing.T) {
	var numbers, want []int
	for i := range 1000 {
		numbers = append(numbers, i)
		want = append(want, i*i)
	}
	squares, pids, err := Map(t.Context(), 4, numbers)
	require.NoError(t, err)
	require.Equal(t, want, squares)
	require.NotEmpty(t, pids)
	require.NotContains(t, pids, os.Getpid(), "that was this process itself")
	require.LessOrEqual(t, len(pids), 4)
	require.Empty(t, proc.Children(), "all of them have ended")
}
