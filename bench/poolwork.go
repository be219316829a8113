package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// workTasks of 10 µs are half a second of work.
const (
	workTasks = 20_000
	workTime  = 10 * time.Microsecond
)

// workTask does so many steps, each of which waits for the one before.
var workTask = proc.Register("work", func(_ context.Context, steps uint64) (uint64, error) { return work(steps), nil })

//go:noinline
func work(steps uint64) uint64 {
	x := steps
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// workSteps returns how many steps take workTime, when nobody disturbs.
func workSteps() uint64 {
	const steps = 10_000
	least := time.Hour
	for range 50 {
		begin := time.Now()
		runtime.KeepAlive(work(steps))
		least = min(least, time.Since(begin))
	}
	return uint64(steps * workTime / max(least, 1))
}

// works returns how many tasks per microsecond of work are done at a time: 1 is
// one worker that has no other work.
func works(ctx context.Context, workers int, steps uint64) (_ []float64, err error) {
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: workers})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	in := make([]uint64, workTasks)
	for i := range in {
		in[i] = steps
	}
	if _, err := workTask.Map(ctx, p, in[:100], &proc.MapOptions{Chunk: 1}); err != nil { // all of them run now
		return nil, err
	}
	return perSecond(workTasks, func() error {
		_, err := workTask.Map(ctx, p, in, nil)
		return err
	})
}

// workSubject: tasks of 10 µs.
func workSubject(*programs) (*subject, error) {
	steps := workSteps()
	const one, two = "Map, 1 worker", "Map, 2 workers"
	run := func(workers int) func(context.Context) ([]float64, error) {
		return scaled(func(ctx context.Context) ([]float64, error) { return works(ctx, workers, steps) }, workTime.Seconds())
	}
	return &subject{
		Title:      "Tasks of 10 µs",
		Unit:       "× the work",
		Method:     fmt.Sprintf("Map is given %d tasks that compute for 10 µs each, the time of which was measured in the parent beforehand. 1 is what one processor can do that does nothing else; the parent needs one too.", workTasks),
		Rounds:     7,
		Contenders: []*contender{{Name: one, run: run(1)}, {Name: two, run: run(2)}},
		Targets:    []target{atLeast(two, 1.9, one)},
	}, nil
}
