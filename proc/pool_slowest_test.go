package proc_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// What takes a worker along is what one looks for among the slowest.
func TestSlowestTasksThatLostTheirWorkers(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	const limit = 20 * time.Millisecond
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: time.Millisecond, Stderr: io.Discard})

	f := puppet.Submit(t.Context(), p, cue{x.addr, 6})
	x.enter(t).say(t, "kill")
	_, err := f.Get(t.Context())
	_ = died(t, err)
	requireSlow(t, p, "puppet", 0, fmt.Sprintf("{%s 6}", x.addr), 0)

	go func() { x.enter(t).say(t, "hang") }()
	_, err = mixed.Map(t.Context(), p, []cue{{"", 0}, {x.addr, 1}, {"", 2}}, &proc.MapOptions{Chunk: 3, Timeout: limit})
	require.ErrorIs(t, err, proc.ErrTaskTimeout)
	requireSlow(t, p, "mixed", 1, fmt.Sprintf("{%s 1}", x.addr), limit)

	_, err = utter.Submit(t.Context(), p, strings.Repeat("large ", 1<<15)).Get(t.Context())
	_ = died(t, err)
	requireSlow(t, p, "utter", 0, "", 0)
}

// requireSlow requires that a task is among the slowest.
func requireSlow(t testing.TB, p *proc.Pool, name string, index int, input string, least time.Duration) {
	t.Helper()
	for _, s := range p.Stats().Slowest {
		if s.Func == name {
			require.Equal(t, index, s.Index)
			require.Equal(t, input, s.Input)
			require.GreaterOrEqual(t, s.Took, least)
			return
		}
	}
	require.Fail(t, "not among the slowest: "+name)
}
