package sync_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// rwWorker reads and writes at random, in several goroutines, and gives up at
// random.
var rwWorker = proctest.Register("rwmutex worker", func(h *proctest.Helper) error {
	s, err := enter[rwScene](h)
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	h.Ready()
	writes := make([]int64, 3)
	var all sync.WaitGroup
	for g := range writes {
		all.Go(func() {
			for range rounds {
				writes[g] += s.visit()
			}
		})
	}
	all.Wait()
	h.Say(strconv.FormatInt(writes[0]+writes[1]+writes[2], 10))
	return nil
})

// visit has the lock once, in one of the ways, and returns how often it wrote.
func (s *rwScene) visit() int64 {
	ctx := context.Background()
	if rand.IntN(2) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(200))*time.Microsecond)
		defer cancel()
	}
	reader, ok := true, true
	switch rand.IntN(12) {
	case 0:
		s.RW.RLock()
	case 1:
		ok = s.RW.TryRLock()
	case 2:
		reader = false
		s.RW.Lock()
	case 3:
		reader, ok = false, s.RW.TryLock()
	case 4:
		reader, ok = false, s.RW.LockContext(ctx) == nil
	default:
		ok = s.RW.RLockContext(ctx) == nil
	}
	switch {
	case !ok:
	case reader:
		if !s.equal() {
			panic("a reader saw a half-done change")
		}
		s.RW.RUnlock()
	default:
		if !s.equal() {
			panic("a writer saw a half-done change")
		}
		s.write()
		s.RW.Unlock()
		return 1
	}
	return 0
}

// Readers and writers of several processes: no reader sees a change half done,
// and no write is lost.
func TestRWMutexExclusion(t *testing.T) {
	s, files, _ := rwStage(t, 0)
	procs := make([]*proctest.Proc, 4)
	for i := range procs {
		procs[i] = rwWorker.Start(t, files, "2000")
	}
	proctest.Gate(t, procs...)
	var want int64
	for _, p := range procs {
		n, err := strconv.ParseInt(p.Line(t), 10, 64)
		require.NoError(t, err)
		require.NoError(t, p.Wait(t))
		want += n
	}
	require.NotZero(t, want)
	require.Equal(t, want, s.A)
	require.Equal(t, want, s.B)
	s.unlocked(t)
}

// Who reads and writes on and on: writers in a stream of readers that never
// pauses, and a reader in a stream of writers.
var rwStream = proctest.Register("rwmutex stream", func(h *proctest.Helper) error {
	s, err := enter[rwScene](h)
	if err != nil {
		return err
	}
	h.Ready()
	if h.Args[0] == "write" {
		for {
			s.RW.Lock()
			s.write()
			s.RW.Unlock()
		}
	}
	turn := make(chan struct{}, 1)
	for range 2 { // one comes before the other goes
		go func() {
			for {
				s.RW.RLock()
				turn <- struct{}{}
				<-turn
				s.RW.RUnlock()
			}
		}()
	}
	select {}
})

func TestRWMutexNobodyStarves(t *testing.T) {
	for _, stream := range []string{"read", "write"} {
		t.Run("others "+stream, func(t *testing.T) {
			s, files, _ := rwStage(t, 0)
			procs := []*proctest.Proc{rwStream.Start(t, files, stream), rwStream.Start(t, files, stream)}
			proctest.Gate(t, procs...)
			for range 100 {
				if stream == "read" {
					s.RW.Lock()
					s.write()
					s.RW.Unlock()
				} else {
					s.RW.RLock()
					require.True(t, s.equal())
					s.RW.RUnlock()
				}
			}
			for _, p := range procs {
				p.Kill(t)
			}
		})
	}
}

// Thousands of goroutines that wait cost a handful of threads.
func TestRWMutexWaitersCostNoThreads(t *testing.T) {
	s, _, p := rwStage(t, 1)
	do(t, p[0], "lock")
	before := threads(t)
	const waiters = 10_000
	var arrived, served sync.WaitGroup
	arrived.Add(waiters)
	for i := range waiters {
		served.Go(func() {
			arrived.Done()
			if i%10 == 0 {
				s.RW.Lock()
				s.A++
				s.RW.Unlock()
				return
			}
			s.RW.RLock()
			s.RW.RUnlock()
		})
	}
	arrived.Wait()
	s.queued()
	require.LessOrEqual(t, threads(t), before+6)
	do(t, p[0], "unlock")
	served.Wait()
	require.EqualValues(t, waiters/10, s.A)
	s.unlocked(t)
}

// What is on the heap is guarded as well: nothing for the race detector to find.
func TestRWMutexOrdersHeap(t *testing.T) {
	s, _, _ := rwStage(t, 0)
	heap := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				s.RW.RLock()
				_ = heap
				s.RW.RUnlock()
				s.RW.Lock()
				heap++
				s.RW.Unlock()
				if s.RW.TryLock() {
					heap += 0
					s.RW.Unlock()
				}
				if s.RW.TryRLock() {
					_ = heap
					s.RW.RUnlock()
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 2000, heap)
}
