//go:build stress && amd64

package chunk

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// The place whose record tells the victim to begin, and the test that it has come
// to the end.
const controlPlace = MaxWorkers - 1

// outcome is what the victim writes as the result of an item.
var outcome = []byte("12345678")

// stepVictim is a worker that can be stepped through.
var stepVictim = proctest.Register("worker that is stepped through", func(h *proctest.Helper) error {
	b, err := Open(h.Files[0], h.Files[1])
	if err != nil {
		return err
	}
	failed := make(chan error)
	var obey func()
	obey = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() { // the first thread cannot be seized
			go obey()
			select {}
		}
		failed <- beStepped(b, h)
	}
	go obey()
	return <-failed
})

func beStepped(b *Board, h *proctest.Helper) error {
	w, control := b.Worker(0), b.Worker(controlPlace).record
	order := h.Args[0]
	var c *Claim
	if order == "commit" {
		var ok bool
		if c, ok = w.Claim(); !ok {
			return fmt.Errorf("there is nothing to claim")
		}
	}
	deepen(1000)
	h.Say(strconv.Itoa(unix.Gettid()))
	for control.park.Load() == 0 {
		runtime.Gosched() // the last one begins a new time slice
	}
	proctest.MarkStep()
	if order == "claim" {
		w.Claim()
	} else {
		c.Write(Value, outcome)
		c.Commit(false)
	}
	control.leave.Store(1)
	select {} // until it is killed
}

// deepen makes room on the stack, so that stepping does not go through the
// runtime's making it.
func deepen(depth int) {
	if depth > 0 {
		deepen(depth - 1)
	}
}

// killAfter lets a victim come so many instructions far, and kills it there. It
// returns the instructions.
func killAfter(t *testing.T, b *Board, order string, n int) (path []uintptr) {
	control := b.Worker(controlPlace).record
	control.park.Store(0)
	control.leave.Store(0)
	shared, args := b.Files()
	victim := stepVictim.Start(t, []*os.File{shared, args}, order)
	tid, err := strconv.Atoi(victim.Line(t))
	require.NoError(t, err)
	s := victim.Seize(t, tid, func() { control.park.Store(1) })
	for len(path) < n && control.leave.Load() == 0 {
		path = append(path, s.PC())
		s.Step(t)
	}
	s.Kill(t)
	return path
}

// A worker is killed at each machine instruction of a claim, and of a commit, in
// an ordinary build. The chunk is claimed or it is not; the item is committed, with
// its whole result, or it is in the dead one's hand; and whoever comes next can
// claim what is there.
func TestStressKillAtEachInstruction(t *testing.T) {
	kills, places := 0, map[uintptr]bool{}
	for _, st := range []struct {
		name  string
		order string
		items int
		need  uint32
	}{
		{"claim", "claim", 2, 0},
		{"commit", "commit", 2, 0},
		{"last commit", "commit", 1, 0},
		{"last commit, the parent sleeps", "commit", 1, Any},
	} {
		t.Run(st.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			b := newBoard(t)
			tag := uint32(0)
			publish := func(slot, items int) {
				tag++
				args := b.Arguments(slot)
				for range items {
					args = Append(args, Value, outcome)
				}
				b.Publish(slot, tag, Head{Items: uint32(items)})
				b.Announce()
				b.WakeOne()
			}
			round := func(t *testing.T, n int) []uintptr {
				publish(0, st.items)
				b.words.need.Store(st.need)
				path := killAfter(t, b, st.order, n)
				kills++
				places[path[len(path)-1]] = true
				word, err := b.Look(0, tag, st.items, 0, 1)
				require.NoError(t, err)
				other := b.Worker(1)
				switch word.State() {
				case Ready:
					require.Equal(t, "claim", st.order)
					c, ok := other.Claim()
					require.True(t, ok)
					require.Equal(t, 0, c.slot)
				case Running, Done:
					require.Equal(t, 0, word.Worker())
				default:
					t.Fatal(word)
				}
				if st.order == "claim" {
					require.Zero(t, word.Done(), "nobody has committed")
				}
				for rest, i := b.Results(0), 0; i < word.Done(); i++ {
					kind, data, after, err := Next(rest)
					require.NoError(t, err)
					require.Equal(t, Value, kind)
					require.Equal(t, outcome, data)
					rest = after
				}
				if marked := b.AnyFinished(); marked {
					require.Equal(t, Done, word.State(), "it is marked, and not done")
				}
				b.Finished(func(int) {})
				b.Forget(0)
				b.Release(0)
				publish(1, 1)
				c, ok := other.Claim()
				require.True(t, ok)
				require.Equal(t, 1, c.slot)
				b.Release(1)
				clear(b.Results(0)[:2*RecordSize(len(outcome))])
				return path
			}
			var path []uintptr
			t.Run("the whole way", func(t *testing.T) { path = round(t, 1<<30) })
			all := make([]int, len(path))
			for i := range all {
				all[i] = i + 1
			}
			for part := range slices.Chunk(proctest.Sample(t, all), 100) { // helpers are cleaned up when a part is over
				t.Run(fmt.Sprintf("%d rounds", len(part)), func(t *testing.T) {
					for _, n := range part {
						round(t, n)
					}
				})
			}
			t.Logf("%d instructions on the way", len(path))
		})
	}
	proctest.Verified(t, "stress", "claim and commit of a pool's chunk, killed at each instruction", "%d kills at %d distinct instructions", kills, len(places))
}
