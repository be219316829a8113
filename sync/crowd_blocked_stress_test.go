//go:build stress

package sync_test

import (
	"context"
	"runtime/metrics"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A blockade has something of each primitive that nobody gets.
type blockade struct {
	RWMutex   psync.RWMutex
	Semaphore psync.Semaphore
	Bounded   psync.BoundedSemaphore
	Mutex     psync.Mutex
	Cond      psync.Cond
	Event     psync.Event
	Barrier   psync.Barrier
	Once      psync.Once
	WaitGroup psync.WaitGroup
	N         int // guarded by the one that excludes
}

// Ten thousand goroutines of one process that are all blocked cost a handful of
// threads, on any primitive, and none of them is forgotten in the end.
func TestStressBlockedCrowd(t *testing.T) {
	const crowd, handful = 10_000, 8
	background := context.Background()
	for _, tt := range []struct {
		name  string
		hold  func(b *blockade) error
		block func(b *blockade) error
		free  func(b *blockade) error
		want  int // N in the end
	}{
		{"RWMutex, writers", func(b *blockade) error { b.RWMutex.RLock(); return nil },
			func(b *blockade) error { b.RWMutex.Lock(); b.N++; b.RWMutex.Unlock(); return nil },
			func(b *blockade) error { b.RWMutex.RUnlock(); return nil }, crowd},
		{"RWMutex, readers", func(b *blockade) error { b.RWMutex.Lock(); return nil },
			func(b *blockade) error { b.RWMutex.RLock(); b.RWMutex.RUnlock(); return nil },
			func(b *blockade) error { b.RWMutex.Unlock(); return nil }, 0},
		{"Semaphore", func(b *blockade) error { return b.Semaphore.Init(0, crowd) },
			func(b *blockade) error { return b.Semaphore.Acquire(background, 1) },
			func(b *blockade) error { return b.Semaphore.Release(crowd) }, 0},
		{"BoundedSemaphore", func(b *blockade) error {
			if err := b.Bounded.Init(2); err != nil {
				return err
			}
			return b.Bounded.Acquire(background, 1)
		}, func(b *blockade) error {
			if err := b.Bounded.Acquire(background, 2); err != nil {
				return err
			}
			b.N++
			return b.Bounded.Release(2)
		}, func(b *blockade) error { return b.Bounded.Release(1) }, crowd},
		{"Cond", func(*blockade) error { return nil },
			func(b *blockade) error {
				b.Mutex.Lock()
				defer b.Mutex.Unlock()
				_, err := b.Cond.WaitFor(background, &b.Mutex, func() bool { return b.N > 0 })
				return err
			}, func(b *blockade) error {
				b.Mutex.Lock()
				defer b.Mutex.Unlock()
				b.N = 1
				b.Cond.Broadcast()
				return nil
			}, 1},
		{"Event", func(*blockade) error { return nil },
			func(b *blockade) error { b.Event.Wait(background); return nil },
			func(b *blockade) error { b.Event.Set(); return nil }, 0},
		{"Barrier", func(b *blockade) error { return b.Barrier.Init(crowd + 1) },
			func(b *blockade) error { _, err := b.Barrier.Wait(background); return err },
			func(b *blockade) error { _, err := b.Barrier.Wait(background); return err }, 0},
		{"Once", func(b *blockade) error {
			running := make(chan struct{})
			go b.Once.Do(func() { close(running); b.Event.Wait(background); b.N++ })
			<-running
			return nil
		}, func(b *blockade) error { b.Once.Do(func() { b.N++ }); return nil },
			func(b *blockade) error { b.Event.Set(); return nil }, 1},
		{"WaitGroup", func(b *blockade) error { b.WaitGroup.Add(1); return nil },
			func(b *blockade) error { return b.WaitGroup.WaitContext(background) },
			func(b *blockade) error { b.WaitGroup.Done(); return nil }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			b, _ := stage[blockade](t)
			require.NoError(t, tt.hold(b))
			before, blocked := threads(t), waitingGoroutines()
			errs := make(chan error, crowd)
			var all sync.WaitGroup
			for range crowd {
				all.Go(func() { errs <- tt.block(b) })
			}
			until(t, "all are blocked", func() bool { return waitingGoroutines() >= blocked+crowd-handful })
			require.LessOrEqual(t, threads(t), before+handful)
			require.Empty(t, errs)
			require.NoError(t, tt.free(b))
			all.Wait()
			close(errs)
			for err := range errs {
				require.NoError(t, err)
			}
			require.Equal(t, tt.want, b.N)
			most := threads(t) // none ends meanwhile
			require.LessOrEqual(t, most, before+handful)
			proctest.Verified(t, "stress", tt.name+", a blocked crowd", "%d goroutines of one process blocked, with %d threads more; all let go", crowd, most-before)
		})
	}
}

// waitingGoroutines returns how many goroutines wait in Go, without a thread.
func waitingGoroutines() int {
	sample := []metrics.Sample{{Name: "/sched/goroutines/waiting:goroutines"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
