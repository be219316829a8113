//go:build stress

package shm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Of three pipes of different kinds one process, the anchor, has the first ends.
// The second ends are with a carrier, or go to and fro between two of them in
// messages. One of the processes is killed at a random instant, thousands of
// times. They look at nothing on their own account. The others see the end of
// each pipe, once they have received all that was committed, in order; and
// nothing is left with them.
func TestStressPipeKills(t *testing.T) {
	proctest.NoLeaks(t)
	kills, sum := campaignKills(t), relaySum{}
	for killed := 0; killed < kills && !t.Failed(); {
		t.Run(fmt.Sprint(killed), func(t *testing.T) { // whose end closes the pipes of its helpers
			for range min(100, kills) {
				sum.round(t, 1+killed%2)
				killed++
			}
		})
	}
	proctest.Verified(t, "stress", "pipes, processes killed at random instants",
		"%d kills, %d of them while the ends went from one process to the other; %d messages sent, %d received, each once and in order; nobody hung",
		kills, sum.passing, sum.sent, sum.got)
}

// A relaySum is what all rounds came to.
type relaySum struct {
	passing   int
	sent, got uint64
}

// round kills one of the processes and sees the others end.
func (sum *relaySum) round(t *testing.T, carriers int) {
	own, theirs := relayedEnds(t)
	books, err := NewArray[book](6, &Options{NoLock: true})
	require.NoError(t, err)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	links := []*os.File{os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link")}
	all := []*proctest.Proc{
		handBeside(t, relayCarrier, links[:1], relayStage{theirs, books}, []string{"", "stays", "passes"}[carriers]),
		hand(t, relayAnchor, relayStage{own, books}),
	}
	if carriers == 2 {
		all = append(all, handBeside(t, relayCarrier, links[1:], relayStage{Books: books}, "passes"))
		sum.passing++
	}
	own.close(t)
	theirs.close(t)
	require.NoError(t, links[0].Close())
	require.NoError(t, links[1].Close())

	view := books.View()
	for i := range view {
		awaitBook(t, &view[i], 50)
	}
	<-time.After(time.Duration(rand.IntN(1000)) * time.Microsecond)
	victim := rand.IntN(len(all))
	all[victim].Kill(t)
	for i, p := range all {
		if i != victim {
			p.Expect(t, "over")
			require.NoError(t, p.Wait(t))
		}
	}
	for i := range view {
		b := &view[i]
		begun, done, got := b.begun.Load(), b.done.Load(), b.got.Load()
		sum.sent += done
		sum.got += got
		if (victim == 1) == (i%2 == 0) { // who receives here has lived on
			require.GreaterOrEqual(t, got, done, "book %d", i)
		}
		require.LessOrEqual(t, got, begun, "book %d", i)
	}
	require.NoError(t, books.Close())
}

// awaitBook waits until so many messages have gone a way.
func awaitBook(t *testing.T, b *book, n uint64) {
	t.Helper()
	for begin := time.Now(); b.got.Load() < n; <-time.After(100 * time.Microsecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("nothing moves")
		}
	}
}

// relayedEnds makes the three pipes, with little room.
func relayedEnds(t *testing.T) (own, theirs ends) {
	var err error
	o := &PipeOptions{Name: relayName, Capacity: 4, Bytes: 128}
	own.Int, theirs.Int, err = NewPipe[int](o)
	require.NoError(t, err)
	own.Text, theirs.Text, err = NewPipe[string](o)
	require.NoError(t, err)
	own.Bytes, theirs.Bytes, err = NewBytePipe(o)
	require.NoError(t, err)
	return own, theirs
}
