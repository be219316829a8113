package letters

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestCount(t *testing.T) {
	counts, err := shm.NewArray[int64](26, nil)
	require.NoError(t, err)
	defer counts.Close()

	const text = "what is written here is counted by four processes, and not by this one. "
	long := strings.Repeat(text, 1000)
	require.NoError(t, Count(t.Context(), counts, []string{long, long, long, "zebra, and ZEBRA"}))
	require.EqualValues(t, 3000*strings.Count(text, "e")+1, counts.At('e'-'a'))
	require.EqualValues(t, 3000*strings.Count(text, "i"), counts.At('i'-'a'))
	require.EqualValues(t, 1, counts.At(-1))
	require.Empty(t, proc.Children(), "all of them have ended")
}

// Who holds the lock shows that the processes want it, and so that it is they who
// count: nothing is added meanwhile.
func TestCountUnderTheLock(t *testing.T) {
	counts, err := shm.NewArray[int64](26, nil)
	require.NoError(t, err)
	defer counts.Close()

	ctx, cancel := context.WithCancel(t.Context())
	counts.Lock()
	ended := make(chan error)
	go func() { ended <- Count(ctx, counts, []string{"a", "b"}) }()
	for len(proc.Children()) < 2 {
		select {
		case err := <-ended:
			require.Fail(t, "Count has ended without the lock", "its error is %v", err)
		default:
		}
	}
	cancel()
	require.Error(t, <-ended)
	require.EqualValues(t, 0, counts.At(0))
	counts.Unlock()
}
