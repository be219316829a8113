package roster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A thread of this process stands in for a process: it claims a slot, and its
// end marks the slot. Nothing of the claim can tell the difference.
type thread struct {
	tab   *table
	id    ID
	err   error
	ready chan struct{} // closed when id and err are there
	leave chan struct{}
}

func claimOnThread(tab *table, gate <-chan struct{}) *thread {
	th := &thread{tab: tab, ready: make(chan struct{}), leave: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		<-gate
		th.id, th.err = tab.claim()
		close(th.ready)
		<-th.leave
	}()
	return th
}

// end ends the thread and waits for the mark.
func (th *thread) end(t *testing.T) {
	t.Helper()
	close(th.leave)
	if th.err != nil {
		return
	}
	word := &th.tab.slots[th.id.index()].live
	for live := word.Load(); live&ownerDied == 0; live = word.Load() {
		require.NoError(t, futex.Wait(word, live, 0))
	}
}

var open = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// claim claims a slot on a thread of its own.
func claim(t *testing.T, tab *table) *thread {
	t.Helper()
	th := claimOnThread(tab, open)
	<-th.ready
	t.Cleanup(func() {
		select {
		case <-th.leave:
		default:
			th.end(t)
		}
	})
	return th
}

func TestReclaim(t *testing.T) {
	tab, _ := newTable(t, 3)
	a, b, c := claim(t, tab), claim(t, tab), claim(t, tab)
	require.Equal(t, []ID{makeID(0, 1), makeID(1, 1), makeID(2, 1)}, []ID{a.id, b.id, c.id})

	b.end(t)
	require.False(t, Look(b.id).Alive)
	d := claim(t, tab)
	require.NoError(t, d.err)
	require.Equal(t, makeID(1, 2), d.id, "the only dead slot, with the next generation")
	require.Equal(t, Sight{}, Look(b.id))
	require.True(t, Look(d.id).Alive)
	require.True(t, Look(a.id).Alive)
	require.True(t, Look(c.id).Alive)
}

func TestFull(t *testing.T) {
	tab, path := newTable(t, 3)
	members := []*thread{claim(t, tab), claim(t, tab), claim(t, tab)}
	before := snapshot(tab)
	late := claim(t, tab)
	require.ErrorIs(t, late.err, ErrFull)
	require.ErrorIs(t, late.err, ErrRoster)
	require.EqualError(t, late.err, "the roster of processes cannot be used: all of its slots belong to living processes: 3")
	require.Equal(t, before, snapshot(tab), "who found no slot touched none")

	p := member.Start(t, nil, path)
	require.Equal(t, "roster "+path+" (named by MULTIPROC_ROSTER): "+late.err.Error(), p.Line(t))

	members[2].end(t)
	again := claim(t, tab)
	require.Equal(t, makeID(2, 2), again.id)
}

// TestRefusedThenJoined has a process try again after the table was full.
func TestRefusedThenJoined(t *testing.T) {
	_, path := newTable(t, 1)
	only, _ := start(t, path)
	p := patient.Start(t, nil, path)
	require.Contains(t, p.Line(t), ErrFull.Error())
	only.Kill(t)
	p.Tell(t, "again")
	require.Equal(t, makeID(0, 2), admitted(t, p))
}

// stubborn tries to join a hundred times in vain, and tells what that has cost.
// Without the garbage collector nothing is given back by chance.
var stubborn = proctest.Register("stubborn", func(h *proctest.Helper) error {
	if err := os.Setenv(Variable, h.Args[0]); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	cost := func() (mappings, descriptors int, err error) {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			return 0, 0, err
		}
		files, err := os.ReadDir("/proc/self/fd")
		return bytes.Count(maps, []byte("/dev/")), len(files), err // a shared page without a file is one of /dev/zero
	}
	mappings, descriptors, err := cost()
	if err != nil {
		return err
	}
	for range 100 {
		if _, err := Join(); !errors.Is(err, ErrFull) {
			return fmt.Errorf("joined a full table: %v", err)
		}
	}
	mappingsAfter, descriptorsAfter, err := cost()
	if err != nil {
		return err
	}
	h.Say(fmt.Sprintf("%d mappings and %d descriptors more", mappingsAfter-mappings, descriptorsAfter-descriptors))
	return nil
})

func TestFailedJoinsCostNothing(t *testing.T) {
	_, path := newTable(t, 1)
	start(t, path)
	p := stubborn.Start(t, nil, path)
	p.Expect(t, "0 mappings and 0 descriptors more")
	require.NoError(t, p.Wait(t))
}

func TestGenerationWraps(t *testing.T) {
	tab, _ := newTable(t, 1)
	tab.slots[0].generation.Store(genMask - 1)
	last := claim(t, tab)
	require.Equal(t, makeID(0, genMask), last.id)
	require.True(t, Look(last.id).Alive)
	last.end(t)
	first := claim(t, tab)
	require.Equal(t, makeID(0, 0), first.id)
	require.NotZero(t, first.id)
	require.True(t, Look(first.id).Alive)
	require.Equal(t, Sight{}, Look(last.id))
}

// TestNamesComeRound: after 65,536 claims of one slot a name is given once more,
// and a word that still holds it names a stranger. Slots are claimed in turn, so
// that in a table of full size this takes a thousand million processes.
func TestNamesComeRound(t *testing.T) {
	tab, _ := newTable(t, 1)
	first := claim(t, tab)
	first.end(t)
	for _, claimsBetween := range []uint32{0, 1, genMask - 2} {
		tab.slots[0].generation.Store(first.id.generation() + claimsBetween)
		other := claim(t, tab)
		require.Equal(t, Sight{}, Look(first.id), "%d claims later", claimsBetween)
		other.end(t)
	}
	tab.slots[0].generation.Store(first.id.generation() + genMask)
	require.Equal(t, first.id, claim(t, tab).id)
	require.True(t, Look(first.id).Alive)
}

// TestContendedClaims lets many threads try for few slots at once, over and
// over: as many as there are slots win, and each has one of its own.
func TestContendedClaims(t *testing.T) {
	const slots, claimers = 4, 16
	tab, _ := newTable(t, slots)
	for round := range uint32(rounds) {
		gate := make(chan struct{})
		var threads []*thread
		for range claimers {
			threads = append(threads, claimOnThread(tab, gate))
		}
		close(gate)
		var won []ID
		for _, th := range threads {
			<-th.ready
			if th.err == nil {
				won = append(won, th.id)
				require.Equal(t, round+1, th.id.generation())
			} else {
				require.ErrorIs(t, th.err, ErrFull)
			}
		}
		require.Equal(t, []int{0, 1, 2, 3}, indexes(won...))
		for _, id := range won {
			require.True(t, Look(id).Alive)
		}
		for _, th := range threads {
			th.end(t)
		}
	}
}

// snapshot copies what the slots hold.
func snapshot(tab *table) (all [][5]uint64) {
	for i := range tab.slots {
		s := &tab.slots[i]
		all = append(all, [5]uint64{
			uint64(s.live.Load()), uint64(s.generation.Load()), uint64(s.pid.Load()), s.start.Load(), s.stack.Load(),
		})
	}
	return all
}
