package proc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// The first worker of a pool is alone as long as it can take all that there is.
func TestPoolHeadStart(t *testing.T) {
	proctest.NoLeaks(t)
	proc.WithHeadStart(t, never)
	x := newExchange(t)
	p := newPool(t, nil)
	for i := range 3 {
		got, err := square.Submit(t.Context(), p, i).Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i*i, got)
	}
	require.Len(t, proc.Children(), 1)
	require.Len(t, p.Stats().Workers, 1)
	require.Equal(t, 2, p.Workers())

	futures := []*proc.Future[int]{puppet.Submit(t.Context(), p, cue{x.addr, 2}), puppet.Submit(t.Context(), p, cue{x.addr, 2})}
	one, other := x.enter(t), x.enter(t)
	require.NotEqual(t, one.pid, other.pid)
	one.say(t, "return")
	other.say(t, "return")
	for _, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, got)
	}
}

// The others come soon, also if there is nothing to do, unless the pool has ended.
func TestPoolHeadStartEnds(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	require.Eventually(t, func() bool { return len(proc.Children()) == 2 }, patience, time.Millisecond)
	works(t, p)
	for range 5 {
		p, err := proc.NewPool(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
}
