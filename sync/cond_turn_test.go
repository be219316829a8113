package sync_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A signal is for those who wait when it is given. One who comes later does not
// get it, though it could take it before them: it holds the lock, for which they
// wait.
func TestCondSignalIsNotStolen(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		for name, wait := range map[string]func() func(){
			"a goroutine": func() func() {
				back := h.wait(t, t.Context(), l, 1)
				return func() { await(t, "the goroutine", back) }
			},
			"a process": func() func() {
				g[0].Tell(t, "turn "+lock)
				h.awaitWaiting(t, 1, l)
				return func() { g[0].Expect(t, "ok") }
			},
		} {
			t.Run(name, func(t *testing.T) {
				returned := wait()
				l.Lock()
				h.Cond.Signal()
				g[1].Tell(t, "signal")
				g[1].Expect(t, "ok")
				require.Equal(t, 1, h.granted(), "the second one found nobody")
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer cancel()
					returned()
				}()
				require.ErrorIs(t, h.Cond.WaitContext(ctx, l), context.Canceled)
				l.Unlock()
			})
		}
	})
}

// Of the goroutines of one process the oldest is next.
func TestCondOldestFirst(t *testing.T) {
	var h hall
	back := h.wait(t, t.Context(), &h.Mutex, 8)
	for i := range 8 {
		h.Cond.Signal()
		require.Equal(t, i, await(t, "a goroutine", back))
	}
}

// Between processes the turn goes round, however many goroutines each has.
func TestCondTurnGoesRound(t *testing.T) {
	forHalls(t, 2, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		back := h.wait(t, t.Context(), l, 5)
		g[0].Tell(t, "turn "+lock)
		g[1].Tell(t, "turn "+lock)
		h.awaitWaiting(t, 7, l)
		h.Cond.SignalN(3)
		g[0].Expect(t, "ok")
		g[1].Expect(t, "ok")
		require.Zero(t, await(t, "the oldest goroutine", back))
		h.awaitWaiting(t, 4, l)
		h.Cond.Broadcast()
		h.awaitWaiting(t, 0, l)
	})
}

// What was written before a signal is seen by who was signalled, though the
// signaller held no lock. (A heap variable: with -race the detector knows it too.)
func TestCondOrders(t *testing.T) {
	var h hall
	for range 100 {
		value, read := new(int), make(chan int)
		go func() {
			h.Mutex.Lock()
			h.Cond.Wait(&h.Mutex)
			h.Mutex.Unlock()
			read <- *value
		}()
		h.awaitWaiting(t, 1, &h.Mutex)
		*value = 1
		h.Cond.Signal()
		require.Equal(t, 1, <-read)
	}
}

// Thousands of goroutines that wait cost a handful of threads, and all come back.
func TestCondCrowd(t *testing.T) {
	const goroutines = 2000
	h, _ := stage[hall](t)
	before := threads(t)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			h.Mutex.Lock()
			h.Cond.Wait(&h.Mutex)
			h.Mutex.Unlock()
		})
	}
	h.awaitWaiting(t, goroutines, &h.Mutex)
	require.Less(t, threads(t), before+20)
	h.Cond.SignalN(10)
	h.awaitWaiting(t, goroutines-10, &h.Mutex)
	h.Cond.Broadcast()
	all.Wait()
	require.Zero(t, h.waiting())
	require.Zero(t, h.granted())
}

// Two goroutines of one process that wait for each other.
func BenchmarkCond(b *testing.B) {
	var m psync.Mutex
	var c psync.Cond
	pingPong(b, &m, func() { c.Wait(&m) }, c.Signal)
}

func BenchmarkStdCond(b *testing.B) {
	var m sync.Mutex
	c := sync.NewCond(&m)
	pingPong(b, &m, c.Wait, c.Signal)
}

func pingPong(b *testing.B, l sync.Locker, wait, signal func()) {
	turn, rounds := 0, b.N
	var both sync.WaitGroup
	for who := range 2 {
		both.Go(func() {
			l.Lock()
			defer l.Unlock()
			for range rounds {
				for turn != who {
					wait()
				}
				turn = 1 - who
				signal()
			}
		})
	}
	both.Wait()
}
