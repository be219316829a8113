package await

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// A flag is a source that is ready when its word is not 0.
type flag struct{ word atomic.Uint32 }

func (f *flag) Await(list *List) bool {
	list.Watch(&f.word, 0)
	return f.word.Load() != 0
}

func flags(n int) (all []*flag, sources []Source) {
	for range n {
		f := new(flag)
		all, sources = append(all, f), append(sources, f)
	}
	return all, sources
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// asleep returns when n threads of this process sleep in a system call of this
// number.
func asleep(t testing.TB, call uintptr, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		if sleeping(t, call) == n {
			return
		}
		require.NoError(t, t.Context().Err())
	}
}

func sleeping(t testing.TB, call uintptr) (n int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
		if err != nil {
			continue // the thread has just ended
		}
		if number, _, _ := strings.Cut(string(text), " "); number == strconv.Itoa(int(call)) {
			n++
		}
	}
	return n
}
