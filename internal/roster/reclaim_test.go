package roster

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// halfDead is a member whose keeper's thread ends while its other threads go on:
// the moment between a process's mark and its end, made long.
var halfDead = proctest.Register("half dead", func(h *proctest.Helper) error {
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	join(h)
	if _, err := h.Listen(); err != nil {
		return err
	}
	go OnKeeper(func() {
		// Through Syscall, so that the scheduler takes this thread for one that
		// sleeps in the kernel.
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	})
	if _, err := h.Listen(); err != nil {
		return err
	}
	words[0].Store(1)
	h.Say("written")
	_, err = h.Listen()
	return err
})

// Who claims a slot has it only when no thread of the earlier owner writes any
// more: whoever finds the generation changed relies on that. A process that lives
// on for a second without its keeper is taken for another program, so a round
// that took long says nothing.
func TestClaimWaitsForLastWrite(t *testing.T) {
	proctest.NoLeaks(t)
	for {
		begin := time.Now()
		n := lastWrite(t)
		if n == 1 || time.Since(begin) < time.Second/2 {
			require.EqualValues(t, 1, n)
			return
		}
	}
}

// lastWrite has an owner write when its slot has been taken already, and returns
// what the one who took it sees.
func lastWrite(t *testing.T) uint32 {
	tab, path := newTable(t, 1)
	page := memfd(t, int64(unix.Getpagesize()))
	words, err := mapWords(page)
	require.NoError(t, err)
	former := halfDead.Start(t, []*os.File{page}, path)
	s := Look(admitted(t, former))
	former.Tell(t, "lose the keeper")
	until(t, func() bool { return s.Word.Load()&ownerDied != 0 })

	claimer := claimOnThread(tab, open)
	seen := make(chan uint32, 1)
	go func() {
		<-claimer.ready
		seen <- words[0].Load()
	}()
	until(t, func() bool { return s.Word.Load()&ownerDied == 0 }) // step 22
	former.Tell(t, "write")
	former.Expect(t, "written")
	former.Kill(t)
	await(t, "the claim", claimer.ready)
	require.NoError(t, claimer.err)
	claimer.end(t)
	return <-seen
}

// A claim takes a slot whose earlier owner has stopped, if there is one, before
// one whose earlier owner may still write for a while: the half dead one here
// lives on until the test is over.
func TestClaimPassesOverTheDying(t *testing.T) {
	proctest.NoLeaks(t)
	tab, path := newTable(t, 2)
	former := halfDead.Start(t, []*os.File{memfd(t, int64(unix.Getpagesize()))}, path)
	s := Look(admitted(t, former))
	former.Tell(t, "lose the keeper")
	until(t, func() bool { return s.Word.Load()&ownerDied != 0 })
	tab.header.cursor.Store(0)
	before := snapshot(tab)[0]
	newcomer := claim(t, tab)
	require.NoError(t, newcomer.err)
	require.Equal(t, makeID(1, 1), newcomer.id)
	require.Equal(t, before, snapshot(tab)[0], "who passes over a slot does not touch it")
	former.Kill(t)
}
