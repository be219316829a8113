// Package counter is a solution of exercise 2.1.
package counter

import (
	"context"
	"sync"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// Goroutines has so many goroutines add 1 to a counter, each so many times.
func Goroutines(workers, times int) int64 {
	var lock sync.Mutex
	var counter int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range times {
				lock.Lock()
				counter++
				lock.Unlock()
			}
		})
	}
	group.Wait()
	return counter
}

// A Job is what a process is given.
type Job struct {
	Counter *shm.Value[int64]
	Times   int
}

var add = proc.RegisterTask("add", func(_ context.Context, job Job) error {
	for range job.Times {
		job.Counter.Do(func(n *int64) { *n++ }) // under its lock
	}
	return nil
})

// Processes does the same with processes and a shared counter, and returns their
// process ids. All of them are started before the first one is waited for. The
// shared counter has a lock of its own; whoever adds to it holds that lock.
func Processes(ctx context.Context, counter *shm.Value[int64], workers, times int) (pids []int, err error) {
	var processes []*proc.Process
	for range workers {
		p, err := add.Start(ctx, Job{counter, times}, nil)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return nil, err
		}
		pids = append(pids, p.Pid())
	}
	return pids, nil
}
