package sync_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A hall is where one waits: a Cond with both kinds of locks, one of which is
// used, and a number.
type hall struct {
	Mutex  psync.Mutex
	RMutex psync.RMutex
	Cond   psync.Cond
	N      int64
}

func (h *hall) lock(name string) psync.CondLocker {
	if name == "rmutex" {
		return &h.RMutex
	}
	return &h.Mutex
}

// condGuest does in a hall what it is told. The orders have the lock's name as their
// second word.
var condGuest = proctest.Register("cond guest", play(func(ctx context.Context, h *hall, order string) string {
	verb, lock, _ := strings.Cut(order, " ")
	l := h.lock(lock)
	switch verb {
	case "lock":
		return describe(l.LockContext(ctx))
	case "unlock":
		l.Unlock()
	case "mark":
		l.MarkConsistent()
	case "wait": // with the lock held
		return describe(h.Cond.WaitContext(ctx, l))
	case "plain": // with the lock held
		h.Cond.Wait(l)
	case "turn":
		return h.turn(ctx, l)
	case "take":
		if err := l.LockContext(ctx); err != nil {
			return describe(err)
		}
		defer l.Unlock()
		if _, err := h.Cond.WaitFor(ctx, l, func() bool { return h.N > 0 }); err != nil {
			return describe(err)
		}
		h.N--
	case "put":
		l.Lock()
		h.N++
		l.Unlock()
		h.Cond.Signal()
	case "signal":
		h.Cond.Signal()
	case "broadcast":
		h.Cond.Broadcast()
	default:
		return "unknown order " + order
	}
	return "ok"
}))

// turn waits once, without holding the lock before or after.
func (h *hall) turn(ctx context.Context, l psync.CondLocker) string {
	if err := l.LockContext(context.Background()); err != nil {
		return describe(err)
	}
	defer l.Unlock()
	err := h.Cond.WaitContext(ctx, l)
	if strings.HasPrefix(describe(err), "died") {
		l.MarkConsistent()
	}
	return describe(err)
}

// waiting is how many wait, in all living processes.
func (h *hall) waiting() (n int) {
	m := memoryOf(&h.Cond)
	for i := range m.cells {
		if w := m.cells[i].Load(); roster.Look(roster.ID(w & ownerMask)).Alive {
			n += int(w >> 48)
		}
	}
	return n
}

// granted is how many signals are not consumed yet.
func (h *hall) granted() (n int) {
	m := memoryOf(&h.Cond)
	for i := range m.cells {
		n += int(m.cells[i].Load() >> 32 & 0xffff)
	}
	return n
}

// awaitWaiting returns when n wait, and the lock is free of them.
func (h *hall) awaitWaiting(t *testing.T, n int, l psync.CondLocker) {
	t.Helper()
	until(t, fmt.Sprintf("%d waiters", n), func() bool {
		l.Lock()
		defer l.Unlock()
		return h.waiting() == n
	})
}

// until looks until done says yes.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); runtime.Gosched() {
		if time.Since(begin) > time.Minute {
			t.Fatal("waited a minute for " + what)
		}
	}
}

// forHalls runs a test with each kind of lock and some guests.
func forHalls(t *testing.T, guests int, test func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc)) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			h, file := stage[hall](t)
			g := make([]*proctest.Proc, guests)
			for i := range g {
				g[i] = condGuest.Start(t, []*os.File{file})
			}
			test(t, h, h.lock(lock), lock, g)
		})
	}
}

// wait waits in goroutines of this process, one after the other, and tells who
// came back.
func (h *hall) wait(t *testing.T, ctx context.Context, l psync.CondLocker, n int) <-chan int {
	t.Helper()
	back := make(chan int, n)
	turn(l) // joins the roster
	before := h.waiting()
	for i := range n {
		go func() {
			l.Lock()
			defer l.Unlock()
			if h.Cond.WaitContext(ctx, l) == nil {
				back <- i
			} else {
				back <- -1 - i
			}
		}()
		h.awaitWaiting(t, before+i+1, l)
	}
	return back
}

// Python: _TestCondition.test_notify
func TestCondSignal(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		h.Cond.Signal()
		require.Zero(t, h.granted(), "a signal to nobody is none")
		back := h.wait(t, t.Context(), l, 1)
		g[0].Tell(t, "turn "+lock)
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 3, l)
		left := 3
		for range 3 {
			h.Cond.Signal()
			left--
			h.awaitWaiting(t, left, l)
		}
		require.Zero(t, h.granted())
		await(t, "the goroutine", back)
		g[0].Expect(t, "ok")
		g[1].Expect(t, "ok")
	})
}

// Python: _TestCondition.test_notify_all
func TestCondBroadcast(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		back := h.wait(t, t.Context(), l, 3)
		g[0].Tell(t, "turn "+lock)
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 5, l)
		l.Lock()
		h.Cond.Broadcast()
		require.Equal(t, 5, h.granted())
		require.Equal(t, 5, h.waiting(), "a grant is consumed with the lock held")
		l.Unlock()
		for range 3 {
			await(t, "a goroutine", back)
		}
		g[0].Expect(t, "ok")
		g[1].Expect(t, "ok")
		require.Zero(t, h.waiting())
	})
}

// Python: _TestCondition.test_notify_n
func TestCondSignalN(t *testing.T) {
	forHalls(t, 3, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		back := h.wait(t, t.Context(), l, 3)
		for _, p := range g {
			p.Tell(t, "turn "+lock)
		}
		h.awaitWaiting(t, 6, l)
		h.Cond.SignalN(0)
		h.Cond.SignalN(-1)
		require.Zero(t, h.granted())
		h.Cond.SignalN(1)
		h.awaitWaiting(t, 5, l)
		h.Cond.SignalN(2)
		h.awaitWaiting(t, 3, l)
		h.Cond.SignalN(7)
		h.awaitWaiting(t, 0, l)
		require.Zero(t, h.granted(), "signals to nobody are none")
		for range 3 {
			await(t, "a goroutine", back)
		}
		for _, p := range g {
			p.Expect(t, "ok")
		}
	})
}

// Python: _TestCondition.test_timeout — differs: the context's error instead of False
func TestCondTimeout(t *testing.T) {
	forHalls(t, 0, func(t *testing.T, h *hall, l psync.CondLocker, _ string, _ []*proctest.Proc) {
		l.Lock()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, h.Cond.WaitContext(ctx, l), context.DeadlineExceeded)
		require.ErrorIs(t, h.Cond.WaitContext(ctx, l), context.DeadlineExceeded, "it had ended before")
		require.Zero(t, h.waiting())
		l.Unlock()
	})
}

// Python: _TestCondition.test_wait_result — differs: nil instead of True, the context's error instead of False
func TestCondWaitResult(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		l.Lock()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, h.Cond.WaitContext(ended, l), context.Canceled)
		g[0].Tell(t, "put "+lock)
		require.NoError(t, h.Cond.WaitContext(t.Context(), l))
		require.EqualValues(t, 1, h.N)
		l.Unlock()
		g[0].Expect(t, "ok")
	})
}

// Python: _TestCondition.test_waitfor
func TestCondWaitFor(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		l.Lock()
		for range 4 {
			g[0].Tell(t, "put "+lock)
		}
		ok, err := h.Cond.WaitFor(t.Context(), l, func() bool { return h.N == 4 })
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 4, h.N)
		l.Unlock()
		for range 4 {
			g[0].Expect(t, "ok")
		}
	})
}

// Python: _TestCondition.test_waitfor_timeout — differs: the context's error beside the value
func TestCondWaitForTimeout(t *testing.T) {
	forHalls(t, 0, func(t *testing.T, h *hall, l psync.CondLocker, _ string, _ []*proctest.Proc) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		l.Lock()
		calls := 0
		ok, err := h.Cond.WaitFor(ctx, l, func() bool { calls++; return false })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, ok)
		require.Equal(t, 2, calls, "it asks at first, and once more when the time is up")

		calls = 0
		ok, err = h.Cond.WaitFor(ctx, l, func() bool { calls++; return calls == 2 })
		require.NoError(t, err, "it was true at last")
		require.True(t, ok)
		ok, err = h.Cond.WaitFor(ctx, l, func() bool { return true })
		require.NoError(t, err)
		require.True(t, ok)
		l.Unlock()
	})
}

// Who does not hold the lock cannot wait; nothing is left of the attempt.
func TestCondMisuse(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		free := fmt.Sprintf("psync: Wait of an unlocked lock by process %d", os.Getpid())
		require.PanicsWithValue(t, free, func() { h.Cond.Wait(l) })
		require.PanicsWithValue(t, free, func() { _ = h.Cond.WaitContext(t.Context(), l) })
		require.PanicsWithValue(t, strings.Replace(free, "Wait", "WaitFor", 1), func() {
			_, _ = h.Cond.WaitFor(t.Context(), l, func() bool { t.Error("called without the lock"); return true })
		})
		do(t, g[0], "lock "+lock)
		require.PanicsWithValue(t, fmt.Sprintf("psync: Wait by process %d of a lock held by process %d", os.Getpid(), g[0].Pid()),
			func() { h.Cond.Wait(l) })
		do(t, g[0], "unlock "+lock)
		require.Zero(t, h.waiting())
		turn(l)
	})
	var r psync.RMutex
	var c psync.Cond
	r.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		require.Panics(t, func() { c.Wait(&r) }, "the owner of an RMutex is a goroutine")
	}()
	<-done
	r.Unlock()
}

// A recursive lock is let go, however deep it was, and is as deep again.
func TestCondRestoresDepth(t *testing.T) {
	proctest.NoLeaks(t)
	h, file := stage[hall](t)
	g := condGuest.Start(t, []*os.File{file})
	r := &h.RMutex
	for range 3 {
		r.Lock()
	}
	g.Tell(t, "put rmutex")
	h.Cond.Wait(r)
	require.EqualValues(t, 1, h.N)
	g.Expect(t, "ok")
	g.Tell(t, "lock rmutex")
	for range 3 {
		r.Unlock()
	}
	require.Panics(t, r.Unlock)
	g.Expect(t, "ok")
	do(t, g, "unlock rmutex")
}
