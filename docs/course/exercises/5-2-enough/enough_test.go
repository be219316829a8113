package enough

import (
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestFirst(t *testing.T) {
	pool, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2})
	require.NoError(t, err)
	defer pool.Terminate()

	first, err := First(t.Context(), pool, from(1), 200)
	require.NoError(t, err)
	require.Equal(t, 2463, first)
	first, err = First(t.Context(), pool, from(10_000), 200)
	require.NoError(t, err)
	require.Equal(t, 10011, first)

	twos := slices.Repeat([]int{2}, 100)
	first, err = First(t.Context(), pool, slices.Values(append([]int{27}, twos...)), 1)
	require.NoError(t, err)
	require.Equal(t, 27, first, "the first of the numbers, not the first that is done")

	_, err = First(t.Context(), pool, slices.Values([]int{1, 2, 3}), 200)
	require.Error(t, err, "no number takes so many steps")
	require.NoError(t, pool.Close())
}

// from gives all numbers from n on.
func from(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := n; yield(i); i++ {
			if i == n+1_000_000 {
				panic("a million numbers were taken, and nobody needs that many")
			}
		}
	}
}
