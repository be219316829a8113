package sync_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// halfDeadGuest is halfDead with a permit.
var halfDeadGuest = proctest.Register("half dead guest", func(h *proctest.Helper) error {
	c, err := enter[counter](h)
	if err != nil {
		return err
	}
	if !c.Bound.TryAcquire(1) {
		panic("refused")
	}
	h.Say("acquired")
	if _, err := h.Listen(); err != nil {
		return err
	}
	go roster.OnKeeper(func() {
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	})
	if _, err := h.Listen(); err != nil {
		return err
	}
	c.Inside.Store(1)
	h.Say("written")
	_, err = h.Listen()
	return err
})

// A dead process's permit comes back only when no thread of it writes any more;
// see TestRecovererWaitsForLastWrite.
func TestPermitWaitsForLastWrite(t *testing.T) {
	proctest.NoLeaks(t)
	for {
		begin := time.Now()
		n := permitAfterLastWrite(t)
		if n == 1 || time.Since(begin) < time.Second/2 {
			require.EqualValues(t, 1, n)
			return
		}
	}
}

func permitAfterLastWrite(t *testing.T) int64 {
	c, file := stage[counter](t)
	c.init(t, 1)
	victim := halfDeadGuest.Start(t, []*os.File{file})
	victim.Expect(t, "acquired")
	holder := roster.ID(boundedWordsOf(&c.Bound).cells[0] & roster.Mask)
	victim.Tell(t, "lose the keeper")
	taken := make(chan int64)
	go func() {
		_ = c.Bound.Acquire(t.Context(), 1)
		taken <- c.Inside.Load()
	}()
	require.NoError(t, joinRoster())
	for roster.Look(holder).Alive {
		runtime.Gosched()
	}
	victim.Tell(t, "write")
	victim.Expect(t, "written")
	victim.Kill(t)
	return await(t, "the permit", taken)
}

func joinRoster() error {
	_, err := roster.Join()
	return err
}
