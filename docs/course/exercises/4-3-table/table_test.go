package table

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestRoots(t *testing.T) {
	calls, err := shm.NewValue[int64](0, nil)
	require.NoError(t, err)
	defer calls.Close()
	var numbers, want []int
	for i := range 1000 {
		numbers = append(numbers, i*i, i*i+i+1)
		want = append(want, i, -1)
	}
	want[1] = 1 // 0*0+0+1

	found, err := Roots(t.Context(), calls, numbers)
	require.NoError(t, err)
	require.Equal(t, want, found)
	require.Contains(t, []int64{1, 2}, calls.Get(), "how often the table was loaded, by at most two workers")
	require.Empty(t, proc.Children(), "the pool was closed")
}
