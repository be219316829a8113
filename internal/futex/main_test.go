package futex

import (
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// memfd makes shared memory that a helper can be given.
func memfd(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("futex-test", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "futex-test")
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	require.NoError(t, file.Truncate(int64(unix.Getpagesize())))
	return file
}

// A sleeper tells by its thread's id that it is about to sleep; asleep returns
// when that thread has left the processor.
func asleep(t *testing.T, tid string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		status, err := os.ReadFile("/proc/" + tid + "/stat")
		require.NoError(t, err)
		var state byte
		for i, c := range status {
			if c == ')' {
				state = status[i+2]
			}
		}
		if state == 'S' {
			return
		}
	}
}

func sayThread(h *proctest.Helper) { h.Say(strconv.Itoa(unix.Gettid())) }

// never is further away than any test waits.
func never() Deadline { return After(time.Hour) }

// heapWord makes a word that escapes: a Waiter does not follow a moving stack.
func heapWord(value uint32) *atomic.Uint32 {
	heap = new(atomic.Uint32)
	heap.Store(value)
	return heap
}

var heap *atomic.Uint32
