package sync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const crowdLocks = 4

// A square is the shared memory of a crowd: few locks, the last two of them
// recursive, and what each guards.
type square struct {
	Mutexes  [crowdLocks - 2]psync.Mutex
	RMutexes [2]psync.RMutex
	N        [crowdLocks]int64 // a plain add under its lock
	Left     atomic.Int64      // how often the locks may still be taken
}

func (s *square) lock(i int) psync.Locker {
	if i < len(s.Mutexes) {
		return &s.Mutexes[i]
	}
	return &s.RMutexes[i-len(s.Mutexes)]
}

// A tally is what the goroutines of one process came to.
type tally struct {
	got              [crowdLocks]atomic.Int64
	gaveUp, wasTaken atomic.Int64
	longest          atomic.Int64 // wait in nanoseconds
}

// crowd is one process with as many goroutines as it is told, which want the locks
// all at once, for as long as there is something left. They end each other's
// waits at random.
var crowd = proctest.Register("crowd", func(h *proctest.Helper) error {
	seg, err := shm.Attach(h.Files[0])
	if err != nil {
		return err
	}
	s, err := shm.Place[square](seg, 0)
	if err != nil {
		return err
	}
	goroutines, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	h.Ready()
	var all tally
	cancels := make(chan context.CancelFunc, goroutines/4)
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for s.Left.Load() > 0 {
				all.visit(s, cancels)
			}
		})
	}
	group.Wait()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	h.Say(fmt.Sprintf("%d %d %d %d %d %d %d %d", all.got[0].Load(), all.got[1].Load(), all.got[2].Load(), all.got[3].Load(),
		all.gaveUp.Load(), all.wasTaken.Load(), all.longest.Load(), len(tasks)))
	return nil
})

// visit tries for one of the locks in one of the ways.
func (all *tally) visit(s *square, cancels chan context.CancelFunc) {
	which := rand.IntN(crowdLocks)
	l := s.lock(which)
	begin := time.Now()
	switch rand.IntN(8) {
	case 0:
		if !l.TryLock() {
			all.wasTaken.Add(1)
			return
		}
	case 1:
		l.Lock()
	default:
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		select {
		case cancels <- cancel:
		default:
			(<-cancels)()
		}
		if err := l.LockContext(ctx); err != nil {
			if ctx.Err() == nil {
				panic(err)
			}
			all.gaveUp.Add(1)
			return
		}
	}
	for wait := int64(time.Since(begin)); ; {
		if longest := all.longest.Load(); wait <= longest || all.longest.CompareAndSwap(longest, wait) {
			break
		}
	}
	s.N[which]++
	if rand.IntN(4) == 0 {
		runtime.Gosched() // the others come and find it taken
	}
	all.got[which].Add(1)
	s.Left.Add(-1)
	l.Unlock()
}

// Thousands of goroutines in several processes want few locks, and give up at
// random. Whoever got a lock had it alone, nobody was forgotten, and the crowd
// cost few threads. How evenly the processes were served is told, not demanded.
func TestStressCrowd(t *testing.T) {
	proctest.NoLeaks(t)
	seg, err := shm.Create("square", 4096)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, seg.Close()) })
	s, err := shm.Place[square](seg, 0)
	require.NoError(t, err)
	s.Left.Store(crowdTurns)
	procs := make([]*proctest.Proc, crowdProcesses)
	for i := range procs {
		procs[i] = crowd.Start(t, []*os.File{seg.File()}, strconv.Itoa(crowdGoroutines))
	}
	proctest.Gate(t, procs...)
	var want [crowdLocks]int64
	allGaveUp := 0
	for i, p := range procs {
		var got [crowdLocks]int64
		var gaveUp, wasTaken, threads int
		var longest time.Duration
		_, err := fmt.Sscan(p.Line(t), &got[0], &got[1], &got[2], &got[3], &gaveUp, &wasTaken, &longest, &threads)
		require.NoError(t, err)
		require.NoError(t, p.Wait(t))
		for which, n := range got {
			want[which] += n
		}
		t.Logf("process %d: locked %d times, gave up %d, found it taken %d; longest wait %v, %d threads",
			i, got[0]+got[1]+got[2]+got[3], gaveUp, wasTaken, longest, threads)
		allGaveUp += gaveUp
		require.Less(t, threads, 20+10*crowdLocks)
	}
	require.NotZero(t, allGaveUp)
	require.Equal(t, want, s.N)
	for i := range crowdLocks {
		l := s.lock(i)
		require.True(t, l.TryLock(), "lock %d is free and unmarked afterwards", i)
		l.Unlock()
		require.Zero(t, wholeWord(l).Load())
	}
	proctest.Verified(t, "stress", "a crowd of waiters", "%d processes with %d goroutines each at %d locks: locked %d times, gave up %d times",
		crowdProcesses, crowdGoroutines, crowdLocks, want[0]+want[1]+want[2]+want[3], allGaveUp)
}
