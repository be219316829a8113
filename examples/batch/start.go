package main

import (
	"context"
	"fmt"
	"runtime"
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

// startOnce has the same tasks done in four ways.
func startOnce(ctx context.Context, tasks int) (*measure.Table, error) {
	var numbers []int
	for i := range tasks {
		numbers = append(numbers, 2000+i)
	}
	t := measure.NewTable(fmt.Sprintf("%d small tasks, %d processes at a time", tasks, width), "way", "all", "a task")
	add := func(way string, run func() error) error {
		took, err := measure.Time(run)
		t.Add(way, took, took/time.Duration(tasks))
		return err
	}
	if err := add("a process for each", func() error { return processes(ctx, numbers) }); err != nil {
		return nil, err
	}
	var pool *proc.Pool
	err := add("a pool, with its start", func() (err error) {
		if pool, err = proc.NewPool(ctx, &proc.PoolOptions{Workers: width}); err != nil {
			return err
		}
		_, err = divisors.Map(ctx, pool, numbers, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = add("the same pool again", func() error {
		_, err := divisors.Map(ctx, pool, numbers, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = add("a loop, no processes", func() error {
		sum := 0
		for _, n := range numbers {
			sum += sumOfDivisors(n)
		}
		runtime.KeepAlive(sum) // else the compiler might leave the loop out
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, pool.Close()
}

// processes starts a process for each number, width at a time.
func processes(ctx context.Context, numbers []int) error {
	var running []*proc.Call[int]
	for _, n := range numbers {
		if len(running) == width {
			if _, err := running[0].Result(ctx); err != nil {
				return err
			}
			running = running[1:]
		}
		c, err := divisors.Start(ctx, n, nil)
		if err != nil {
			return err
		}
		running = append(running, c)
	}
	for _, c := range running {
		if _, err := c.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}
