package lengths

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestLengths(t *testing.T) {
	pool, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2})
	require.NoError(t, err)
	defer pool.Terminate()

	long := strings.Repeat("ü", 10_000_000) // the others are done before it
	lengths, err := Lengths(t.Context(), pool, []string{long, "Zürich", "", "Go", "multiprocessing"})
	require.NoError(t, err)
	require.Equal(t, []int{10_000_000, 6, 0, 2, 15}, lengths)
	require.NoError(t, pool.Close())

	var tasks uint64
	for _, w := range pool.Stats().Workers {
		tasks += w.Tasks
	}
	require.EqualValues(t, 5, tasks, "the pool's workers did the work")
}
