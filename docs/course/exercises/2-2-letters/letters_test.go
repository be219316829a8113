package letters

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/docs/course/exercises/gate"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) {
	gate.Pass()
	proc.Main()
	m.Run()
}

func TestCount(t *testing.T) {
	counts, err := shm.NewArray[int64](26, nil)
	require.NoError(t, err)
	defer counts.Close()

	const text = "what is written here is counted by four processes, and not by this one. "
	long := strings.Repeat(text, 10_000)
	each := int64(strings.Count(long, "e"))

	counts.Lock()
	ended := gate.Hold(t, 4, func(ctx context.Context) error {
		return Count(ctx, counts, []string{long, long, long, "zebra, and ZEBRA"})
	})
	gate.AwaitSleepers(t, func() bool { return len(proc.Children()) < 4 || counts.At('e'-'a') != 0 })
	require.Len(t, proc.Children(), 4, "somebody has ended without the array's lock")
	require.Equal(t, make([]int64, 26), counts.Copy(), "somebody has added without the array's lock")
	counts.Unlock()

	for running := true; running; {
		select {
		case err := <-ended:
			require.NoError(t, err)
			running = false
		default:
		}
		if counts.TryLock() {
			rest := counts.At('e'-'a') % each // the zebra has one more
			counts.Unlock()
			require.LessOrEqual(t, rest, int64(1), "somebody has added a part of its letters, and let the lock go")
		}
	}
	require.Equal(t, 3*each+1, counts.At('e'-'a'))
	require.EqualValues(t, 3*strings.Count(long, "i"), counts.At('i'-'a'))
	require.EqualValues(t, 1, counts.At(-1))
	require.Empty(t, proc.Children(), "all of them have ended")
}
