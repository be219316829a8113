package proc_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A pool that has let its workers go outlives a moment in which the system refuses it
// new ones.
func TestAllWorkersAreRefusedForAMoment(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithRefusals(t, never) // a slow machine may take long
	h := newTold("worker not started")
	p := newPool(t, &proc.PoolOptions{Workers: 3, IdleTimeout: time.Nanosecond, Logger: slog.New(h)})
	awaitChildren(t, 0)
	var f *proc.Future[int]
	withoutDescriptors(t, func() {
		f = square.Submit(t.Context(), p, 3)
		for range 5 {
			select {
			case <-h.records:
			case <-f.Done(): // it has failed
			}
		}
	})
	got, err := f.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, got)
}

// If it lasts, the pool has ended.
func TestAllWorkersAreRefused(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithRefusals(t, 20*time.Millisecond)
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 3, IdleTimeout: time.Nanosecond})
	require.NoError(t, err)
	awaitChildren(t, 0)
	var init *proc.InitError
	withoutDescriptors(t, func() {
		_, err := square.Submit(t.Context(), p, 3).Get(t.Context())
		require.ErrorAs(t, err, &init)
		require.ErrorIs(t, err, unix.EMFILE)
		require.ErrorContains(t, err, "proc: the pool's workers do not start: the system has refused them for ")
	})
	require.ErrorAs(t, p.Close(), &init)
}
