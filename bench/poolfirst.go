package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// poolFirst returns the milliseconds from the making of a pool to its first
// result.
func poolFirst(ctx context.Context) (_ []float64, err error) {
	begin := time.Now()
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: poolWorkers})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Terminate()) }()
	if _, err := sameTask.Submit(ctx, p, 7).Get(ctx); err != nil {
		return nil, err
	}
	return []float64{float64(time.Since(begin)) / 1e6}, nil
}

// firstSubject: a new pool.
func firstSubject(p *programs) (*subject, error) {
	const ours = "NewPool, Submit+Get"
	s := &subject{
		Title:      "From a new pool to its first result",
		Unit:       "ms",
		Method:     "A pool of two workers is made, given one task that does nothing, and has its result. By fork, CPython's workers have all that the parent had loaded, and its locks; by the other ways they begin anew, as ours do.",
		Rounds:     9,
		Contenders: []*contender{{Name: ours, run: poolFirst}},
		Targets:    []target{atMost(ours, 5, "")},
	}
	for _, method := range []string{"fork", "forkserver", "spawn"} {
		c := p.py("CPython Pool, apply, by "+method, "pool.py", "first", method)
		c.run = scaled(c.run, 1e-3)
		s.Contenders = append(s.Contenders, c)
	}
	return s, nil
}
