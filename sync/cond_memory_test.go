package sync_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Where there is no cell for a process, or no count for one more goroutine, Wait
// returns after a while, signalled or not, so that its caller can look again.
func TestCondWithoutRoom(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		do(t, g[0], "lock "+lock)
		other := wholeWord(l).Load() & ownerMask
		do(t, g[0], "unlock "+lock)
		for name, fill := range map[string]func(cells *[31]uint64){
			"of cells":      func(cells *[31]uint64) { fillWith(cells, 1<<48|other) },
			"in its own":    func(cells *[31]uint64) { cells[3] = math.MaxUint16<<48 | uint64(roster.Me()) },
			"all of itself": func(cells *[31]uint64) { fillWith(cells, math.MaxUint16<<48|uint64(roster.Me())) },
		} {
			t.Run(name, func(t *testing.T) {
				var cells [31]uint64
				fill(&cells)
				for i := range cells {
					memoryOf(&h.Cond).cells[i].Store(cells[i])
				}
				l.Lock()
				calls := 0
				ok, err := h.Cond.WaitFor(t.Context(), l, func() bool { calls++; return calls == 3 })
				require.NoError(t, err)
				require.True(t, ok)
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				require.ErrorIs(t, h.Cond.WaitContext(ended, l), context.Canceled)
				l.Unlock()
				for i := range cells {
					require.Equal(t, cells[i], memoryOf(&h.Cond).cells[i].Load(), "cell %d", i)
				}
			})
		}
	})
}

func fillWith(cells *[31]uint64, w uint64) {
	for i := range cells {
		cells[i] = w
	}
}

// Dead processes leave room, whatever they left in their cells; so does one that
// lives and does not wait.
func TestCondRoomOfOthers(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		var names [2]uint64
		for i, p := range g {
			do(t, p, "lock "+lock)
			names[i] = wholeWord(l).Load() & ownerMask
			do(t, p, "unlock "+lock)
		}
		g[0].Kill(t)
		for _, w := range []uint64{names[0], 3<<48 | 2<<32 | names[0], names[1]} {
			m := memoryOf(&h.Cond)
			for i := range m.cells {
				m.cells[i].Store(w)
			}
			ctx, cancel := context.WithCancel(t.Context())
			back := h.wait(t, ctx, l, 1)
			cancel()
			require.Equal(t, -1, await(t, "a waiter that has a cell of its own", back))
		}
	})
}

// Memory that lies is met with a reason or with patience, not with an endless
// loop or a wrong index.
func TestCondLyingMemory(t *testing.T) {
	h, _ := stage[hall](t)
	m := memoryOf(&h.Cond)
	turn(&h.Mutex) // joins the roster
	me := uint64(roster.Me())

	m.start.Store(math.MaxUint32)
	m.cells[0].Store(math.MaxUint16<<32 | me) // granted more than wait
	m.cells[1].Store(math.MaxUint64)          // an id that does not exist
	h.Cond.Signal()
	h.Cond.SignalN(math.MaxInt)
	h.Cond.Broadcast()
	require.EqualValues(t, math.MaxUint16<<32|me, m.cells[0].Load())

	m.cells[0].Store(0)
	back := h.wait(t, t.Context(), &h.Mutex, 1)
	h.Cond.Signal()
	require.Zero(t, await(t, "the waiter", back))
	require.Zero(t, m.cells[1].Load(), "void")

	h.Mutex.Lock()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	go func() {
		defer close(cancelled)
		defer cancel()
		h.Mutex.Lock()
		m.cells[0].Store(me)
		h.Mutex.Unlock()
	}()
	require.PanicsWithValue(t, "psync: a Cond says waiting 0 for a process that waits", func() {
		_ = h.Cond.WaitContext(ctx, &h.Mutex)
	})
	<-cancelled
	_, held := h.Mutex.Holder()
	require.True(t, held)
}

// A thread of a dead process may come back from its wait before it has stopped, when
// its cell is another's already. It leaves that alone. (Here we are the thread; that
// the cell is another's is done by hand.)
func TestCondLateThread(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		do(t, g[0], "lock "+lock)
		other := wholeWord(l).Load() & ownerMask
		do(t, g[0], "unlock "+lock)
		cell := &memoryOf(&h.Cond).cells[0]
		for _, w := range []uint64{other, 2<<48 | other, 2<<48 | 1<<32 | other} {
			h.Cond = psync.Cond{}
			ctx, cancel := context.WithCancel(t.Context())
			panicked := make(chan any)
			go func() {
				defer func() { panicked <- recover() }()
				defer l.Unlock()
				l.Lock()
				_ = h.Cond.WaitContext(ctx, l)
			}()
			h.awaitWaiting(t, 1, l)
			cell.Store(w)
			cancel()
			require.Equal(t, "psync: a Cond says waiting 0 for a process that waits", await(t, "the thread", panicked))
			require.Equal(t, w, cell.Load())
		}
	})
}

// Who looks for a moment may see the count as it was, and a signal all the same:
// the one that was there was consumed, and another given.
func TestCondCountComesBack(t *testing.T) {
	var h hall
	for range 300 {
		first := h.wait(t, t.Context(), &h.Mutex, 2)
		h.Mutex.Lock()
		h.Cond.Signal()
		h.Mutex.Unlock()
		require.Zero(t, await(t, "the first", first))
		third := h.wait(t, t.Context(), &h.Mutex, 1)
		h.Cond.Signal()
		require.Equal(t, 1, await(t, "the second", first))
		h.Cond.Signal()
		require.Zero(t, await(t, "the third", third))
	}
}
