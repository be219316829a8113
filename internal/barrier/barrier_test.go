package barrier

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// prepared waits until commits of this process are cheap.
func prepared() bool {
	Prepare()
	for end := time.Now().Add(time.Minute); asymmetric && !registered.Load(); runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func TestPrepare(t *testing.T) {
	require.True(t, prepared())
	require.True(t, Everywhere())
	Prepare() // once more does no harm
	require.True(t, Everywhere())
}

func TestCommit(t *testing.T) {
	var word atomic.Uint64
	for _, v := range []uint64{1, 1<<32 | 5, 1<<64 - 1, 0} {
		Commit(&word, v)
		require.Equal(t, v, word.Load())
		storeRelease(&word, v/2)
		require.Equal(t, v/2, word.Load())
	}
}

// Whoever sees what was committed sees what was stored before.
func TestCommitIsARelease(t *testing.T) {
	require.True(t, prepared())
	m, err := mapLanes(lanes(t, 2)) // the race detector would not see that the commit is atomic
	require.NoError(t, err)
	before, word := &m[0].word, &m[1].word
	const rounds = 100_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(rounds) {
			before.Store(i + 1)
			Commit(word, i+1)
		}
	}()
	for seen := uint64(0); seen < rounds; {
		seen = word.Load()
		require.GreaterOrEqual(t, before.Load(), seen)
	}
	<-done
}

// refused says what becomes of the package's functions in a process whose kernel
// refuses membarrier.
var refused = proctest.Register("refused", func(h *proctest.Helper) error {
	var errno int
	if _, err := fmt.Sscan(h.Args[0], &errno); err != nil {
		return err
	}
	if err := proctest.Refuse(unix.SYS_MEMBARRIER, unix.Errno(errno)); err != nil {
		return err
	}
	first := membarrier(registerGlobalExpedited)
	Prepare()
	var word atomic.Uint64
	Commit(&word, 5)
	h.Say(fmt.Sprintf("%d %t %d", first, Everywhere(), word.Load()))
	line, err := h.Listen() // time enough for Prepare
	h.Say(fmt.Sprintf("%s %t", line, registered.Load()))
	return err
})

// A committer that is refused goes on with a fence; a sleeper is told.
func TestRefused(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} {
		t.Run(errno.Error(), func(t *testing.T) {
			proctest.NoLeaks(t)
			p := refused.Start(t, nil, fmt.Sprint(int(errno)))
			p.Expect(t, fmt.Sprintf("%d %t 5", int(errno), !asymmetric))
			p.Tell(t, "registered:")
			p.Expect(t, "registered: false")
			require.NoError(t, p.Wait(t))
		})
	}
}
