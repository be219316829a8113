package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const fairTime = time.Second

// A crowd is what processes share that all want one lock all the time.
type crowd struct {
	lock psync.Mutex
	gate gate
}

type fairJob struct {
	Crowd     *shm.Value[crowd]
	Processes int
	Hold      time.Duration
}

// A served is how one process fared.
type served struct {
	Turns   int64
	Longest time.Duration // from wanting the lock to having it
}

var fairTask = proc.Register("fair", func(_ context.Context, job fairJob) (served, error) {
	c := job.Crowd.Ptr()
	c.gate.gather(job.Processes)
	var s served
	for begin := time.Now(); time.Since(begin) < fairTime; s.Turns++ {
		want := time.Now()
		c.lock.Lock()
		have := time.Now()
		s.Longest = max(s.Longest, have.Sub(want))
		for time.Since(have) < job.Hold {
		}
		c.lock.Unlock()
	}
	return s, nil
})

// fairSubject: 2, 4 and 8 processes that want one lock again as soon as they
// have let it go.
func fairSubject(*programs) (*subject, error) {
	s := &subject{
		Title:  "A lock that many processes want all the time",
		Unit:   "% of fair",
		Method: "Each of 2, 4 or 8 processes takes the lock, holds it for 0, 5 µs or 1 ms, lets go and wants it again at once, for a second, on as many processors as there are. The share is that of the process that was served least often, of what would be fair; the wait is the longest of any process, including the time for which the system ran somebody else.",
		Rounds: 3,
	}
	for _, processes := range []int{2, 4, 8} {
		for _, hold := range []time.Duration{0, 5 * time.Microsecond, time.Millisecond} {
			name := fmt.Sprintf("%d processes, holds of %v", processes, hold)
			var longest time.Duration
			s.Contenders = append(s.Contenders,
				&contender{Name: name + ": least served", run: func(ctx context.Context) ([]float64, error) {
					share, wait, err := fair(ctx, processes, hold)
					longest = wait
					return []float64{share}, err
				}},
				&contender{Name: name + ": longest wait", Unit: "ms", run: func(context.Context) ([]float64, error) {
					return []float64{longest.Seconds() * 1000}, nil
				}})
			s.Targets = append(s.Targets, atLeast(name+": least served", 100.0/3, ""))
			if hold == time.Millisecond {
				s.Targets = append(s.Targets, atMost(name+": longest wait", float64(50*processes), ""))
			}
		}
	}
	return s, nil
}

// fair returns the share of the process that was served least, and the longest
// wait of any.
func fair(ctx context.Context, processes int, hold time.Duration) (share float64, longest time.Duration, err error) {
	shared, err := shm.NewValue(crowd{}, &shm.Options{NoLock: true})
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = shared.Close() }() // open until here: it cannot fail
	var calls []*proc.Call[served]
	for range processes {
		c, err := fairTask.Start(ctx, fairJob{shared, processes, hold}, nil)
		if err != nil {
			return 0, 0, err
		}
		calls = append(calls, c)
	}
	var all, least int64
	for i, c := range calls {
		s, err := c.Result(ctx)
		if err != nil {
			return 0, 0, err
		}
		all += s.Turns
		if i == 0 || s.Turns < least {
			least = s.Turns
		}
		longest = max(longest, s.Longest)
	}
	return 100 * float64(least) * float64(processes) / float64(all), longest, nil
}
