package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// applyPause is long enough for everybody to be asleep.
const applyPause = 2 * time.Millisecond

// applies returns the microseconds of single tasks, one after another.
func applies(ctx context.Context, p *proc.Pool, n int, pause time.Duration) ([]float64, error) {
	var times []float64
	for i := range n {
		time.Sleep(pause)
		begin := time.Now()
		x, err := sameTask.Submit(ctx, p, i).Get(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(begin))/1e3)
		if x != i {
			return nil, errors.New("a wrong result")
		}
	}
	return times, nil
}

// mean makes one sample of many.
func mean(samples []float64, err error) ([]float64, error) {
	sum := 0.0
	for _, x := range samples {
		sum += x
	}
	return []float64{sum / float64(len(samples))}, err
}

// applyGoroutine is a number's way through two channels to a goroutine and back.
func applyGoroutine(_ context.Context, n int) ([]float64, error) {
	in, out := make(chan int), make(chan int)
	go func() {
		for x := range in {
			out <- x
		}
	}()
	defer close(in)
	begin := time.Now()
	for i := range n {
		in <- i
		<-out
	}
	return []float64{float64(time.Since(begin)) / 1e3 / float64(n)}, nil
}

// applySubject: one task at a time.
func applySubject(p *programs) (*subject, error) {
	const (
		awake, asleep = "Submit+Get, awake", "Submit+Get, asleep"
		python        = "CPython Pool.apply"
	)
	var pool lazyPool
	ours := func(n int, pause time.Duration) func(context.Context) ([]float64, error) {
		return func(ctx context.Context) ([]float64, error) {
			p, err := pool.get(ctx)
			if err != nil {
				return nil, err
			}
			return applies(ctx, p, n, pause)
		}
	}
	return &subject{
		Title:  "One task and its result",
		Unit:   "µs",
		Method: "A task that does nothing is given to a pool of two workers, and its result is waited for. \"Awake\": one after another, 3000 in a round (2000 and 1000 with CPython); the figure is their mean. \"Asleep\": the parent pauses for 2 ms before each, so that all sleep; the figure is the median of 50. The goroutine takes a number from a channel and puts it into another one.",
		Rounds: 7,
		close:  pool.close,
		Contenders: []*contender{
			{Name: awake, run: func(ctx context.Context) ([]float64, error) { return mean(ours(3000, 0)(ctx)) }},
			p.py(python, "pool.py", "apply", "2000"),
			{Name: asleep, run: ours(50, applyPause)},
			p.py("CPython ProcessPoolExecutor.submit, result", "pool.py", "executor", "1000"),
			{Name: "a goroutine, channels", run: func(ctx context.Context) ([]float64, error) { return applyGoroutine(ctx, 50_000) }},
		},
		Targets: []target{atMost(awake, 0.25, python)},
	}, nil
}
