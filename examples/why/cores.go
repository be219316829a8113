package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// A Range is the numbers from Low to High-1.
type Range struct{ Low, High int }

// longest finds the longest way to 1 by Collatz's rule. It keeps a processor busy and
// does nothing else.
var longest = proc.Register("longest", func(_ context.Context, r Range) (most int, err error) {
	for start := max(1, r.Low); start < r.High; start++ {
		steps := 0
		for n := start; n != 1; steps++ {
			if n%2 == 0 {
				n /= 2
			} else {
				n = 3*n + 1
			}
		}
		most = max(most, steps)
	}
	return most, nil
})

// cores divides the same numbers among more and more processes: one, as many as there are
// processors, and twice as many.
func cores(ctx context.Context, numbers int) (*measure.Table, error) {
	t := measure.NewTable("A computation, divided among processes", "processes", "time", "times as fast")
	var alone time.Duration
	many := max(2, proc.CPUCount()) // with one processor two processes are as slow as one
	for _, n := range []int{1, many, 2 * many} {
		took, err := measure.Median(3, func() (time.Duration, error) {
			return measure.Time(func() error { return divide(ctx, numbers, n) })
		})
		if err != nil {
			return nil, err
		}
		if n == 1 {
			alone = took
		}
		t.Add(n, took, fmt.Sprintf("%.2f", float64(alone)/float64(took)))
	}
	return t, nil
}

// divide starts n processes, each with its part of the numbers, and waits for all.
func divide(ctx context.Context, numbers, n int) error {
	var calls []*proc.Call[int]
	for i := range n {
		c, err := longest.Start(ctx, Range{numbers * i / n, numbers * (i + 1) / n}, nil)
		if err != nil {
			return err
		}
		calls = append(calls, c)
	}
	for _, c := range calls {
		if _, err := c.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}
