package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// counts are the numbers of workers.
var counts = []int{1, 2, 4, 8}

// A curves has, for each kind, how long one job takes with so many workers.
type curves struct {
	Title string
	Times map[string][]time.Duration // in the order of counts
}

func (c curves) table() *measure.Table {
	t := measure.NewTable(c.Title, "workers", goroutine, thread, process)
	for i, n := range counts {
		t.Add(n, c.Times[goroutine][i], c.Times[thread][i], c.Times[process][i])
	}
	return t
}

// scale divides two jobs among more and more workers: one of pure computing, and one
// that does nothing but add to a number under a lock.
func scale(ctx context.Context, size sizes) ([]curves, error) {
	computing := curves{"5a. Scalability: the time of a computation that is divided", map[string][]time.Duration{}}
	locking := curves{"5b. Scalability: the time of updates of one number, under one lock", map[string][]time.Duration{}}
	for _, c := range []struct {
		curves
		job job
	}{
		{computing, job{Steps: size.steps}},
		{locking, job{Steps: size.updates, Locked: true}},
	} {
		for _, kind := range []string{goroutine, thread, process} {
			for _, n := range counts {
				took, err := measure.Median(size.rounds, func() (time.Duration, error) { return c.job.run(ctx, kind, n) })
				if err != nil {
					return nil, fmt.Errorf("%d of kind %s: %w", n, kind, err)
				}
				c.Times[kind] = append(c.Times[kind], took)
			}
		}
	}
	return []curves{computing, locking}, nil
}

// A job is a number of steps, each of which is some arithmetic or, locked, an update.
type job struct {
	Steps  int
	Locked bool
}

func (j job) run(ctx context.Context, kind string, workers int) (time.Duration, error) {
	if kind == process {
		return j.runProcesses(ctx, workers)
	}
	var lock sync.Mutex
	var number int64
	begin := time.Now()
	together(workers, kind == thread, func(int) {
		if !j.Locked {
			compute(j.Steps / workers)
			return
		}
		for range j.Steps / workers {
			lock.Lock()
			number++
			lock.Unlock()
		}
	})
	return time.Since(begin), nil
}

// compute keeps a processor busy.
func compute(steps int) {
	x := uint64(steps)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	runtime.KeepAlive(x) // else the compiler would leave the arithmetic out
}

// A Share is what one process is given. It begins when all are there.
type Share struct {
	Job     job
	Workers int
	There   *shm.Value[psync.Barrier]
	Number  *shm.Value[int64]
}

// A Span is when a process began and ended, on the clock that all processes share.
type Span struct{ Begin, End int64 }

var work = proc.Register("work", func(ctx context.Context, s Share) (Span, error) {
	if _, err := s.There.Ptr().Wait(ctx); err != nil {
		return Span{}, err
	}
	span := Span{Begin: now()}
	if s.Job.Locked {
		for range s.Job.Steps / s.Workers {
			s.Number.Lock()
			*s.Number.Ptr()++
			s.Number.Unlock()
		}
	} else {
		compute(s.Job.Steps / s.Workers)
	}
	span.End = now()
	return span, nil
})

func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // there is no such machine
	}
	return t.Nano()
}

// runProcesses does not count the starts: cost does.
func (j job) runProcesses(ctx context.Context, workers int) (time.Duration, error) {
	there, err := shm.NewValue(psync.Barrier{}, &shm.Options{NoLock: true})
	if err != nil {
		return 0, err
	}
	defer there.Close()
	if err := there.Ptr().Init(workers); err != nil {
		return 0, err
	}
	number, err := shm.NewValue[int64](0, nil)
	if err != nil {
		return 0, err
	}
	defer number.Close()
	var calls []*proc.Call[Span]
	for range workers {
		c, err := work.Start(ctx, Share{j, workers, there, number}, nil)
		if err != nil {
			return 0, err
		}
		calls = append(calls, c)
	}
	var all Span
	for i, c := range calls {
		s, err := c.Result(ctx)
		if err != nil {
			return 0, err
		}
		if i == 0 || s.Begin < all.Begin {
			all.Begin = s.Begin
		}
		all.End = max(all.End, s.End)
	}
	return time.Duration(all.End - all.Begin), nil
}
