//go:build stress && amd64

package sync_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

// The controls lie beside the scene.
type controls struct {
	Go    atomic.Uint32 // the victim has been seized
	Done  atomic.Uint32 // 1: the operation has returned
	Ended atomic.Uint32 // 1: the context has ended
}

// An endable is a context that the test ends, without any help of the victim's
// other threads, which stand.
type endable struct {
	context.Context
	by *controls
}

func (c endable) Err() error {
	if c.by.Ended.Load() != 0 {
		return context.Canceled
	}
	return nil
}

const controlsOffset = 2048

func controlsIn(t *testing.T, file *os.File) (*controls, error) {
	seg, err := shm.Attach(file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, seg.Close()) })
	return shm.Place[controls](seg, controlsOffset)
}

// stepped is an actor that can work, and that can be stepped through. It acts
// on a thread that is not its first, because that one cannot be seized.
var stepped = proctest.Register("stepped", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	seg, err := shm.Attach(h.Files[0])
	if err != nil {
		return err
	}
	c, err := shm.Place[controls](seg, controlsOffset)
	if err != nil {
		return err
	}
	live, stop := context.WithCancel(context.Background())
	defer stop()
	return offFirstThread(func() error {
		l := s.lock(h.Args[0])
		for {
			order, err := h.Listen()
			if err != nil {
				return err
			}
			if order == "work" {
				deaths, err := work(s, l)
				if err != nil {
					return err
				}
				h.Say("worked" + deaths)
				continue
			}
			order, step := strings.CutPrefix(order, "step ")
			if !step {
				h.Say(act(l, order))
				continue
			}
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			do := map[string]func(){
				"lock":          l.Lock,
				"unlock":        l.Unlock,
				"mark":          l.MarkConsistent,
				"try":           func() { _ = l.LockContext(ended) },
				"give up":       func() { _ = l.LockContext(endable{live, c}) },
				"lock or learn": func() { _ = l.LockContext(context.Background()) },

				"rlock":          s.RWMutex.RLock,
				"runlock":        s.RWMutex.RUnlock,
				"rlock or learn": func() { _ = s.RWMutex.RLockContext(context.Background()) },
			}[order]
			growStack(1000)
			h.Say(strconv.Itoa(unix.Gettid()))
			for c.Go.Load() == 0 {
				runtime.Gosched() // the last one begins a new time slice
			}
			proctest.MarkStep()
			do()
			c.Done.Store(1)
			select {} // until it is killed
		}
	})
})

// growStack makes room for whatever comes, so that stepping does not go through
// the runtime's making it.
func growStack(depth int) {
	if depth > 0 {
		growStack(depth - 1)
	}
}

// offFirstThread runs f on a thread of its own that is not the process's first.
func offFirstThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			result <- offFirstThread(f)
			return
		}
		result <- f()
	}()
	return <-result
}
