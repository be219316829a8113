package sync_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A broken lock that spins, or that wakes nobody over and over, still excludes.
// These tests count what locks ask of the kernel.

// reported is an actor whose system calls are reported.
var reported = proctest.Register("reported", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	fd, err := notifyLockCalls()
	if err != nil {
		return err
	}
	h.Say(strconv.Itoa(fd))
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		var rounds int
		if n, _ := fmt.Sscanf(order, "rounds %d", &rounds); n == 1 {
			for range rounds {
				turn(l)
			}
			h.Say("ok")
			continue
		}
		h.Say(act(l, order))
	}
})

func startReported(t *testing.T, file *os.File, lock string) (*proctest.Proc, *calls) {
	t.Helper()
	p := reported.Start(t, []*os.File{file}, lock)
	fd, err := strconv.Atoi(p.Line(t))
	require.NoError(t, err)
	return p, countCalls(t, p, fd)
}

// A lock that nobody else wants costs no system call, whatever happened to it
// before.
func TestUncontendedAsksNothing(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[scene](t)
			p, c := startReported(t, file, lock)
			l := s.lock(lock)
			for _, before := range []struct {
				name  string
				spoil func()
			}{
				{"new", func() {}},
				{"it waited", func() {
					l.Lock()
					p.Tell(t, "lock")
					awaitSleeper(s.word(lock))
					l.Unlock()
					p.Expect(t, "ok")
					do(t, p, "unlock")
				}},
				{"others waited", func() {
					do(t, p, "lock")
					done := make(chan struct{})
					go func() {
						defer close(done)
						turn(l)
					}()
					awaitSleeper(s.word(lock))
					do(t, p, "unlock")
					await(t, "the waiter", done)
				}},
			} {
				before.spoil()
				do(t, p, "rounds 1") // one useless wake is allowed
				waits, wakes := c.waits.Load(), c.wakes.Load()
				do(t, p, "rounds 1000")
				require.Equal(t, waits, c.waits.Load(), before.name)
				require.Equal(t, wakes, c.wakes.Load(), before.name)
			}
		})
	}
}

// Who waits sleeps, and looks again ten times a second. How long that took only
// allows for more looks.
func TestWaiterSleeps(t *testing.T) {
	const looks, bound = 6, 100 * time.Millisecond
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[scene](t)
			p, c := startReported(t, file, lock)
			l := s.lock(lock)
			l.Lock()
			begin := time.Now()
			p.Tell(t, "lock")
			for c.waits.Load() < looks {
				runtime.Gosched()
			}
			got := c.waits.Load()
			require.LessOrEqual(t, got, int64(3+time.Since(begin)/bound), "it does not sleep")
			require.Zero(t, c.wakes.Load())
			l.Unlock()
			p.Expect(t, "ok")
			do(t, p, "unlock")
		})
	}
}
