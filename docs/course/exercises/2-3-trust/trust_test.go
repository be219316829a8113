package trust

import (
	"context"
	"fmt"
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

func TestRun(t *testing.T) {
	var outcomes []Outcome
	<-gate.Hold(t, 3, func(ctx context.Context) error { // the untrusted ones
		outcomes = Run(ctx, []Job{{100, true}, {81, false}, {-1, false}, {0, true}, {50, false}})
		return fmt.Errorf("the outcomes are %v", outcomes)
	})
	require.Len(t, outcomes, 5)
	for i, root := range []int{10, 9, 0, 0, 7} {
		require.Equal(t, root, outcomes[i].Root)
	}
	require.NoError(t, outcomes[1].Err)
	require.Error(t, outcomes[2].Err, "that process ended itself")
	require.NoError(t, outcomes[4].Err)

	self := os.Getpid()
	require.Equal(t, self, outcomes[0].Pid)
	require.Equal(t, self, outcomes[3].Pid)
	require.NotEqual(t, self, outcomes[1].Pid)
	require.NotEqual(t, self, outcomes[4].Pid)
	require.NotEqual(t, outcomes[1].Pid, outcomes[4].Pid, "each has a process of its own")
}
