package roster

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// hog is a member with much memory of its own.
var hog = proctest.Register("hog", func(h *proctest.Helper) error {
	_, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	join(h)
	_, err = h.Listen()
	return err
})

// TestMemoryTakenAtDeath does what the OOM killer does: it kills a process and
// takes its private memory away at once, before the kernel has come to the
// robust list. When a process is reaped its threads have gone through theirs,
// so the mark is there by then, or it never comes.
func TestMemoryTakenAtDeath(t *testing.T) {
	_, path := newTable(t, 2)
	taken := 0
	for range reapRounds {
		p := hog.Start(t, nil, path)
		id := admitted(t, p)
		s := Look(id)
		require.True(t, s.Alive)
		pidfd, err := unix.PidfdOpen(p.Pid(), 0)
		require.NoError(t, err)
		woken := watch(t, id)

		require.NoError(t, p.Signal(unix.SIGKILL))
		_, _, errno := unix.Syscall(unix.SYS_PROCESS_MRELEASE, uintptr(pidfd), 0, 0)
		p.Kill(t)
		require.False(t, Look(id).Alive, "the death was not announced")
		await(t, "the sleeper on the liveness word", woken)

		require.NoError(t, unix.Close(pidfd))
		switch errno {
		case 0:
			taken++
		case unix.ESRCH, unix.EAGAIN: // too late, or not all at once
		default:
			require.NoError(t, errno, "process_mrelease, from Linux 5.15")
		}
	}
	require.NotZero(t, taken, "the memory was never taken in time: nothing was tested")
	proctest.Verified(t, "crash", "deaths as by the OOM killer", "%d kills, memory taken away at once in %d", reapRounds, taken)
}
