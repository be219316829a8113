package relay

import (
	"context"
	"fmt"
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

func TestRelay(t *testing.T) {
	require.Equal(t, []string{"ONE", "TWO", "THREE"}, relay(t, []string{"one", "two", "three"}))
	require.Empty(t, relay(t, nil))

	var lines, want []string // more than a pipe takes
	for i := range 10_000 {
		lines = append(lines, fmt.Sprint("line ", i))
		want = append(want, fmt.Sprint("LINE ", i))
	}
	require.Equal(t, want, relay(t, lines))
}

// relay sees Relay start two processes, and end both.
func relay(t *testing.T, lines []string) (loud []string) {
	ended := gate.Hold(t, 2, func(ctx context.Context) (err error) {
		loud, err = Relay(ctx, lines)
		return err
	})
	require.NoError(t, <-ended)
	require.Empty(t, proc.Children(), "both have ended")
	return loud
}
