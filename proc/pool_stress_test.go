//go:build stress

package proc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// The tasks of one round, by the call that they belong to.
const (
	mapped     = 50_000
	chunked    = 20_000
	streamed   = 20_000
	submitted  = 10_000
	roundTasks = mapped + chunked + streamed + submitted
)

// An onslaught is what a test and the workers of its pool share.
type onslaught struct {
	Pids  *shm.Array[atomic.Uint32] // by worker; 0 once it was killed
	Begun *shm.Array[atomic.Uint32] // by task
}

var underFire onslaught

var takeCover = proc.RegisterTask("take cover", func(_ context.Context, o onslaught) error {
	underFire = o
	index, _ := proc.WorkerIndex()
	o.Pids.View()[index].Store(uint32(os.Getpid()))
	return nil
})

// toil takes some 20 microseconds.
var toil = proc.Register("toil", func(_ context.Context, n int64) (int64, error) {
	underFire.Begun.View()[n].Add(1)
	sum := n * n
	for i := range int64(20_000) {
		sum += i ^ n
	}
	for i := range int64(20_000) {
		sum -= i ^ n
	}
	return sum, nil
})

// poolKills is how many workers are killed: a tenth of the processes that the
// queue's test kills, for each costs a start.
func poolKills(t *testing.T) int {
	kills := 10_000
	if n := os.Getenv("MULTIPROC_KILLS"); n != "" {
		var err error
		kills, err = strconv.Atoi(n)
		require.NoError(t, err)
	}
	return max(kills/10, 100)
}

// fire kills, and stops for a moment, workers at random instants, until it is told
// to end.
func (o onslaught) fire(end <-chan struct{}) (kills, stops int) {
	for {
		select {
		case <-end:
			return kills, stops
		case <-time.After(time.Duration(rand.IntN(5000)) * time.Microsecond):
		}
		at := &o.Pids.View()[rand.IntN(o.Pids.Len())]
		pid := int(at.Load())
		if pid == 0 || !isOurs(pid) {
			continue
		}
		if rand.IntN(4) == 0 {
			_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
			<-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond)
			_ = unix.Kill(pid, unix.SIGCONT)
			stops++
			continue
		}
		if at.CompareAndSwap(uint32(pid), 0) && unix.Kill(pid, unix.SIGKILL) == nil {
			kills++
		}
	}
}

// isOurs reports whether a process is a child of this one.
func isOurs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[1] == strconv.Itoa(os.Getpid())
}

// A score is the outcomes of a round: each task may have one.
type score struct {
	t      *testing.T
	mu     sync.Mutex
	had    [roundTasks]bool
	count  int
	failed int
}

func (s *score) outcome(n int, v int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < 0 || s.had[n] {
		s.t.Errorf("task %d: a second outcome: %d, %v", n, v, err)
		return
	}
	s.had[n] = true
	s.count++
	died := &proc.WorkerDiedError{}
	switch {
	case err == nil && v != int64(n)*int64(n):
		s.t.Errorf("task %d: %d", n, v)
	case err == nil:
	default:
		s.failed++
		if !errors.As(err, &died) || died.Code != -int(unix.SIGKILL) {
			s.t.Errorf("task %d: %v", n, err)
		}
	}
}

// tasksFrom returns so many from a number on.
func tasksFrom(first, n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(first + i)
	}
	return all
}

// play runs all tasks of a round in several calls at once.
func (s *score) play(ctx context.Context, pool *proc.Pool) {
	var calls sync.WaitGroup
	first := 0
	for _, job := range []struct{ tasks, chunk int }{{mapped, 0}, {chunked, 1}} {
		in, base := tasksFrom(first, job.tasks), first
		first += job.tasks
		calls.Go(func() {
			out, err := toil.Map(ctx, pool, in, &proc.MapOptions{Chunk: job.chunk, KeepGoing: true})
			failed, _ := err.(proc.TaskErrors)
			if len(out) != len(in) {
				s.t.Errorf("map: %v", err)
				return
			}
			byIndex := make(map[int]error)
			for _, e := range failed {
				byIndex[e.Index] = e
			}
			for i, v := range out {
				s.outcome(base+i, v, byIndex[i])
			}
		})
	}
	stream := first
	calls.Go(func() {
		n := stream
		for v, err := range toil.Stream(ctx, pool, slices.Values(tasksFrom(stream, streamed)), &proc.MapOptions{Chunk: 1}) {
			s.outcome(n, v, err)
			n++
		}
	})
	submit := first + streamed
	calls.Go(func() {
		const most = 100 // at a time
		var under []*proc.Future[int64]
		for n := range submitted + most {
			if n >= most {
				v, err := under[n-most].Get(ctx)
				s.outcome(submit+n-most, v, err)
			}
			if n < submitted {
				under = append(under, toil.Submit(ctx, pool, int64(submit+n)))
			}
		}
	})
	calls.Wait()
}

// Workers are killed and stopped at random instants, while several calls run a
// hundred thousand tasks at a time. Each task has one outcome. With Retries it is the
// result; without, those that have failed are at most as many as were killed, and
// none was begun twice.
func TestStressPoolKills(t *testing.T) {
	proctest.NoLeaks(t)
	const workers = 4
	goal := poolKills(t)
	kills, stops, tasks, failed, again := 0, 0, 0, 0, 0
	for round := 0; kills < goal && !t.Failed(); round++ {
		retries := 0
		if round%2 == 1 {
			retries = 1000
		}
		func() {
			o := onslaught{}
			for a, n := range map[**shm.Array[atomic.Uint32]]int{&o.Pids: workers, &o.Begun: roundTasks} {
				array, err := shm.NewArray[atomic.Uint32](n, &shm.Options{NoLock: true})
				require.NoError(t, err)
				defer func() { require.NoError(t, array.Close()) }()
				*a = array
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // nobody hangs
			defer cancel()
			pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: workers, Retries: retries, Init: takeCover.With(o)})
			require.NoError(t, err)
			end, fired := make(chan struct{}), make(chan struct{})
			killed, stopped := 0, 0
			go func() {
				defer close(fired)
				killed, stopped = o.fire(end)
			}()
			s := &score{t: t}
			s.play(ctx, pool)
			close(end)
			<-fired
			require.NoError(t, pool.Close())
			require.Equal(t, roundTasks, s.count)
			if retries > 0 {
				require.Zero(t, s.failed)
			} else {
				require.LessOrEqual(t, s.failed, killed)
			}
			more := 0
			for n := range o.Begun.View() {
				more += max(0, int(o.Begun.View()[n].Load())-1)
			}
			if retries == 0 {
				require.Zero(t, more, "tasks were begun again")
			}
			kills, stops, tasks, failed, again = kills+killed, stops+stopped, tasks+roundTasks, failed+s.failed, again+more
		}()
	}
	proctest.Verified(t, "stress", "pool, workers killed at random instants",
		"%d kills, %d stops; %d tasks, each with one outcome; without retries %d failed, with them none and %d were begun again; nobody hung",
		kills, stops, tasks, failed, again)
}
