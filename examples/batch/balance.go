package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// How long a short task sleeps.
const (
	longUnit  = 20 * time.Millisecond
	quickUnit = time.Millisecond
)

// Tasks sleep instead of working, so that it does not matter how many processors
// there are.
var (
	one = proc.RegisterTask("one", func(_ context.Context, d time.Duration) error {
		time.Sleep(d)
		return nil
	})
	share = proc.RegisterTask("share", func(_ context.Context, all []time.Duration) error {
		for _, d := range all {
			time.Sleep(d)
		}
		return nil
	})
)

// balance has 16 tasks done by four processes. The first four take ten times as long
// as the others: whoever deals them out beforehand may give all of them to one. The start
// of the processes counts, both times.
func balance(ctx context.Context, unit time.Duration) (*measure.Table, error) {
	tasks := make([]time.Duration, 16)
	for i := range tasks {
		tasks[i] = unit
		if i < 4 {
			tasks[i] = 10 * unit
		}
	}
	t := measure.NewTable("16 tasks, of which four are long, by four processes", "way", "all")
	dealt, err := measure.Time(func() error { return deal(ctx, tasks) })
	if err != nil {
		return nil, err
	}
	t.Add("dealt out beforehand, four each", dealt)

	var pool *proc.Pool
	pooled, err := measure.Time(func() (err error) {
		if pool, err = proc.NewPool(ctx, &proc.PoolOptions{Workers: 4}); err != nil {
			return err
		}
		_, err = one.Map(ctx, pool, tasks, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.Add("a pool: who is free takes the next", pooled)
	t.Add("the best that is possible", 13*unit)
	return t, pool.Close()
}

// deal gives each of four processes a quarter of the tasks.
func deal(ctx context.Context, tasks []time.Duration) error {
	var shares []*proc.Process
	for i := range 4 {
		p, err := share.Start(ctx, tasks[4*i:4*i+4], nil)
		if err != nil {
			return err
		}
		shares = append(shares, p.Process)
	}
	for i, p := range shares {
		if err := p.Join(ctx); err != nil {
			return fmt.Errorf("share %d: %w", i, err)
		}
	}
	return nil
}
