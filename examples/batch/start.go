package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// sumOfDivisors is a small task: it takes some microseconds.
func sumOfDivisors(n int) (sum int) {
	for d := 1; d < n; d++ {
		if n%d == 0 {
			sum += d
		}
	}
	return sum
}

var divisors = proc.Register("divisors", func(_ context.Context, n int) (int, error) { return sumOfDivisors(n), nil })

const width = 2 // how many processes work at a time

// startOnce has the same tasks done in four ways, all but the slowest three times.
func startOnce(ctx context.Context, tasks int) (*measure.Table, error) {
	var numbers []int
	for i := range tasks {
		numbers = append(numbers, 2000+i)
	}
	want := loop(numbers)
	// timed measures one round of a way that returns the sum of all results.
	timed := func(run func() (sum int, err error)) (time.Duration, error) {
		return measure.Time(func() error {
			sum, err := run()
			if err == nil && sum != want {
				return fmt.Errorf("the results add up to %d, not to %d", sum, want)
			}
			return err
		})
	}
	var pool *proc.Pool
	t := measure.NewTable(fmt.Sprintf("%d small tasks, %d processes at a time", tasks, width), "way", "all", "a task")
	for _, way := range []struct {
		name   string
		rounds int
		round  func() (time.Duration, error)
	}{
		{"a process for each", 1, func() (time.Duration, error) {
			return timed(func() (int, error) { return processes(ctx, numbers) })
		}},
		{"a pool, with its start", 3, func() (time.Duration, error) {
			if pool != nil { // that of the round before
				if err := pool.Close(); err != nil {
					return 0, err
				}
			}
			return timed(func() (sum int, err error) {
				if pool, err = proc.NewPool(ctx, &proc.PoolOptions{Workers: width}); err != nil {
					return 0, err
				}
				return inPool(ctx, pool, numbers)
			})
		}},
		{"the same pool again", 3, func() (time.Duration, error) {
			return timed(func() (int, error) { return inPool(ctx, pool, numbers) })
		}},
		{"a loop, no processes", 3, func() (time.Duration, error) {
			return timed(func() (int, error) { return loop(numbers), nil })
		}},
	} {
		took, err := measure.Median(way.rounds, way.round)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		t.Add(way.name, took, took/time.Duration(tasks))
	}
	return t, pool.Close()
}

// loop works on the numbers in this process, one after another.
func loop(numbers []int) (sum int) {
	for _, n := range numbers {
		sum += sumOfDivisors(n)
	}
	return sum
}

func inPool(ctx context.Context, pool *proc.Pool, numbers []int) (sum int, err error) {
	results, err := divisors.Map(ctx, pool, numbers, nil)
	for _, r := range results {
		sum += r
	}
	return sum, err
}

// processes starts a process for each number, width at a time.
func processes(ctx context.Context, numbers []int) (sum int, err error) {
	var running []*proc.Call[int]
	take := func() error { // the result of the one that was started first
		result, err := running[0].Result(ctx)
		running = running[1:]
		sum += result
		return err
	}
	for _, n := range numbers {
		if len(running) == width {
			if err := take(); err != nil {
				return 0, err
			}
		}
		c, err := divisors.Start(ctx, n, nil)
		if err != nil {
			return 0, err
		}
		running = append(running, c)
	}
	for len(running) > 0 {
		if err := take(); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
