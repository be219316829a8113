package proctest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSample(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5}
	t.Setenv(strideVariable, "")
	require.Equal(t, all, Sample(t, all))
	t.Setenv(strideVariable, "3")
	for range 20 {
		some := Sample(t, all)
		require.Len(t, some, 2)
		require.Equal(t, 3, some[1]-some[0])
	}
	t.Setenv(strideVariable, "none")
	w := &witness{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Sample(w, all)
	}()
	<-done
	require.Contains(t, w.said, `proctest: MULTIPROC_STRIDE is "none", not a number from 1`)
}
