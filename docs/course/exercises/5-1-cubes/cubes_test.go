package cubes

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestCubes(t *testing.T) {
	cubes, err := Cubes(t.Context(), 3, []int{3, 4, 5, 6, 6, 7, 87, 8, 8})
	require.NoError(t, err)
	require.Equal(t, []int{27, 64, 125, 216, 216, 343, 658503, 512, 512}, cubes)
	require.Empty(t, proc.Children(), "the pool was closed")

	_, err = Cubes(t.Context(), 3, []int{1, -1})
	require.ErrorContains(t, err, "-1 is negative")
	require.Empty(t, proc.Children(), "the pool was closed, although a task had failed")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Cubes(ended, 3, []int{1})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, proc.Children(), "the pool was closed")
}
