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
	psync "github.com/go-multiproc/multiproc/sync"
)

// halfDead is a holder of the lock whose keeper's thread ends while its other
// threads go on: the moment between a process's mark and its end, made long.
var halfDead = proctest.Register("half dead", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	s.lock(h.Args[0]).Lock()
	h.Say("locked")
	if _, err := h.Listen(); err != nil {
		return err
	}
	go roster.OnKeeper(func() {
		// Through Syscall, so that the scheduler takes this thread for one that
		// sleeps in the kernel.
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	})
	if _, err := h.Listen(); err != nil {
		return err
	}
	s.N = 1
	h.Say("written")
	_, err = h.Listen()
	return err
})

// Who takes the lock from a dead owner has it only when no thread of that
// process writes any more. A process that lives on for a second without its
// keeper is taken for another program, so a round that took long says nothing.
func TestRecovererWaitsForLastWrite(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			for {
				begin := time.Now()
				n := lastWrite(t, lock)
				if n == 1 || time.Since(begin) < time.Second/2 {
					require.EqualValues(t, 1, n)
					return
				}
			}
		})
	}
}

// lastWrite has a holder write when it is known to be dead already, and returns
// what the one who took it sees.
func lastWrite(t *testing.T, lock string) int64 {
	s, file := stage[scene](t)
	victim := halfDead.Start(t, []*os.File{file}, lock)
	victim.Expect(t, "locked")
	victim.Tell(t, "lose the keeper")
	type outcome struct {
		err error
		n   int64
	}
	taken := make(chan outcome)
	go func() {
		err := s.lock(lock).LockContext(t.Context())
		taken <- outcome{err, s.N}
	}()
	for roster.Look(roster.ID(s.word(lock)() & roster.Mask)).Alive {
		runtime.Gosched()
	}
	victim.Tell(t, "write")
	victim.Expect(t, "written")
	victim.Kill(t)
	got := await(t, "the lock", taken)
	require.ErrorIs(t, got.err, psync.ErrOwnerDied)
	return got.n
}
