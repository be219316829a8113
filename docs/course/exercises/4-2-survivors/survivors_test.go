package survivors

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

func TestRoots(t *testing.T) {
	pool, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2})
	require.NoError(t, err)
	defer pool.Terminate()

	roots, none, err := Roots(t.Context(), pool, []int{9, -1, 17, 0, -4, 10_000})
	require.NoError(t, err)
	require.Equal(t, map[int]int{9: 3, 17: 4, 0: 0, 10_000: 100}, roots)
	require.Equal(t, []int{-1, -4}, none)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = Roots(ended, pool, []int{9})
	require.ErrorIs(t, err, context.Canceled, "nobody has asked for this root: that is an error")
	require.NoError(t, pool.Close())
}
