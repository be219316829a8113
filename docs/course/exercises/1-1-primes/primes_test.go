package primes

import (
	"context"
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

func TestPrimes(t *testing.T) {
	for _, tt := range []struct{ limit, processes, want int }{
		{100, 1, 25},
		{100, 3, 25},
		{10_000, 4, 1229},
		{3, 4, 1},
	} {
		var counts []Count
		ended := gate.Hold(t, tt.processes, func(ctx context.Context) (err error) {
			counts, err = Primes(ctx, tt.limit, tt.processes)
			return err
		})
		require.NoError(t, <-ended)
		sum, pids := 0, map[int]bool{}
		for _, c := range counts {
			sum += c.Primes
			pids[c.Pid] = true
		}
		require.Equal(t, tt.want, sum, "primes below %d", tt.limit)
		require.Len(t, pids, tt.processes, "processes")
		require.NotContains(t, pids, os.Getpid())
	}
}
