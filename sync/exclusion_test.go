package sync_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

func TestExclusion(t *testing.T) {
	tests := []struct {
		name  string
		procs int
		adds  int
	}{
		{"one process", 1, 10_000},
		{"two processes", 2, 300_000},
		{"more processes than CPUs", 16, 10_000},
	}
	for _, lock := range lockNames {
		for _, tt := range tests {
			t.Run(lock+"/"+tt.name, func(t *testing.T) {
				proctest.NoLeaks(t)
				s, file := stage[scene](t)
				procs := make([]*proctest.Proc, tt.procs)
				for i := range procs {
					procs[i] = adder.Start(t, []*os.File{file}, lock, strconv.Itoa(tt.adds))
				}
				proctest.Gate(t, procs...)
				for _, p := range procs {
					require.NoError(t, p.Wait(t))
				}
				require.EqualValues(t, tt.procs*tt.adds, s.N)
				require.Zero(t, s.word(lock)(), "the lock is free and unmarked afterwards")
			})
		}
	}
}

// Goroutines of one process and of another, some of which give up: whoever got
// the lock had it alone, and nobody who waited was forgotten.
func TestExclusionWithCancellation(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			s, file := stage[scene](t)
			const adds = 20_000
			other := adder.Start(t, []*os.File{file}, lock, strconv.Itoa(adds))
			proctest.Gate(t, other)
			l := s.lock(lock)
			var wg sync.WaitGroup
			var got [50]int64
			for g := range got {
				wg.Go(func() {
					for range 200 {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(2000))*time.Microsecond)
						if l.LockContext(ctx) == nil {
							s.N++
							got[g]++
							l.Unlock()
						}
						cancel()
					}
				})
			}
			wg.Wait()
			require.NoError(t, other.Wait(t))
			var want int64 = adds
			for _, n := range got {
				want += n
			}
			require.Equal(t, want, s.N)
			require.True(t, l.TryLock(), "the lock is free afterwards")
			l.Unlock()
		})
	}
}

// 10,000 goroutines that wait for one lock cost a handful of threads.
func TestWaitersCostNoThreads(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			s, file := stage[scene](t)
			holder := actor.Start(t, []*os.File{file}, lock)
			do(t, holder, "lock")
			before := threads(t)

			const waiters = 10_000
			l := s.lock(lock)
			var arrived, served sync.WaitGroup
			arrived.Add(waiters)
			for range waiters {
				served.Go(func() {
					arrived.Done()
					l.Lock()
					s.N++
					l.Unlock()
				})
			}
			arrived.Wait()
			awaitSleeper(s.word(lock))
			require.LessOrEqual(t, threads(t), before+4)
			do(t, holder, "unlock")
			served.Wait()
			require.EqualValues(t, waiters, s.N)
		})
	}
}

// 10,000 waiters, each for another lock, are more than there may be sleeping
// threads, and as many as the threads that end a Go program. All get their lock.
func TestMoreLocksThanThreads(t *testing.T) {
	const atOnce, ofTheRuntime = 1000, 20
	locks := make([]psync.Mutex, 10_000)
	for i := range locks {
		locks[i].Lock()
	}
	before := threads(t)
	var arrived, served sync.WaitGroup
	for i := range locks {
		arrived.Add(1)
		served.Go(func() {
			arrived.Done()
			locks[i].Lock()
			locks[i].Unlock()
		})
	}
	arrived.Wait()
	for threads(t) < atOnce/5 { // many sleep, if not as many as may
		runtime.Gosched()
	}
	for i := range locks {
		locks[i].Unlock()
	}
	served.Wait()
	require.Less(t, threads(t), before+atOnce+ofTheRuntime, "no thread ends meanwhile: these are all that there were")
}

// threads returns how many threads this process has.
func threads(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "\nThreads:\t")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	require.NoError(t, err)
	return n
}
