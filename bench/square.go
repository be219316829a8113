package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	squareNumbers = 100_000_000
	squarePasses  = 6
	maxWorkers    = 2
)

// A clock is when each worker began and ended each pass.
type clock struct {
	gate gate
	_    [56]byte
	of   [maxWorkers]struct {
		begin, end [squarePasses]int64
		_          [32]byte
	}
}

type squareJob struct {
	Numbers                 *shm.Array[int32]
	Clock                   *shm.Value[clock]
	Worker, Workers, Passes int
}

var squareTask = proc.RegisterTask("square", func(_ context.Context, job squareJob) error {
	v, c := job.Numbers.View(), job.Clock.Ptr()
	part := v[len(v)*job.Worker/job.Workers : len(v)*(job.Worker+1)/job.Workers]
	for pass := range job.Passes {
		c.gate.meet(job.Workers * (pass + 1))
		c.of[job.Worker].begin[pass] = now()
		square(part)
		c.of[job.Worker].end[pass] = now()
	}
	return nil
})

//go:noinline
func square(v []int32) {
	for i := range v {
		v[i] *= v[i]
	}
}

// passes are the milliseconds of the passes of the last run, which two or three
// contenders share: the first pass finds other pages than the others.
type passes []float64

func (p *passes) first(run func(context.Context) ([]float64, error)) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) (_ []float64, err error) {
		if *p, err = run(ctx); err != nil {
			return nil, err
		}
		return (*p)[:1], nil
	}
}

func (p *passes) rest(context.Context) ([]float64, error) { return (*p)[1:], nil }

// squareSubject: the main job, large enough that starting does not count.
func squareSubject(p *programs) (*subject, error) {
	s := &subject{
		Title:  "Squaring 100 million 32-bit integers in place",
		Unit:   "ms",
		Method: "Each worker squares its part; the figure is the time from the first worker's start to the last one's end, without starting processes. \"Pages there\": the median of 5 passes over pages that the worker has mapped. \"First pass\": the parent has filled the array, the workers meet each page for the first time and the kernel maps it. \"New memory\": nobody has touched the array, and the kernel makes each page. All in pages of 4 KiB. The C program has the same loop and shares a memfd.",
		Rounds: 5,
	}
	for _, workers := range []int{1, 2} {
		n := strconv.Itoa(workers)
		label := fmt.Sprintf("%d process", workers)
		if workers > 1 {
			label += "es"
		}
		var filled [3]passes
		runs := []struct {
			name string
			run  func(filled bool, passes int) func(context.Context) ([]float64, error)
		}{
			{"multiproc, " + label, func(filled bool, passes int) func(context.Context) ([]float64, error) {
				return func(ctx context.Context) ([]float64, error) { return squares(ctx, workers, passes, filled) }
			}},
			{"C -O3, " + label, cSquares(p, "square-O3", n)},
			{"C -O2, " + label, cSquares(p, "square-O2", n)},
		}
		for i, r := range runs {
			s.Contenders = append(s.Contenders,
				&contender{Name: r.name + ", first pass", run: filled[i].first(r.run(true, squarePasses))},
				&contender{Name: r.name + ", pages there", run: filled[i].rest})
		}
		for _, r := range runs[:2] {
			s.Contenders = append(s.Contenders, &contender{Name: r.name + ", new memory", run: r.run(false, 1)})
		}
	}
	const ours, speed = "multiproc, 2 processes, ", 0.9
	s.Targets = []target{
		faster(ours+"pages there", speed, "C -O3, 2 processes, pages there"),
		faster(ours+"pages there", speed, "C -O2, 2 processes, pages there"),
		faster(ours+"first pass", speed, "C -O3, 2 processes, first pass"),
		faster(ours+"new memory", speed, "C -O3, 2 processes, new memory"),
	}
	return s, nil
}

func cSquares(p *programs, program, workers string) func(bool, int) func(context.Context) ([]float64, error) {
	return func(filled bool, passes int) func(context.Context) ([]float64, error) {
		fill := "0"
		if filled {
			fill = "1"
		}
		return p.c("", program, strconv.Itoa(squareNumbers), workers, strconv.Itoa(passes), fill).run
	}
}

// squares returns the milliseconds of each pass.
func squares(ctx context.Context, workers, passes int, filled bool) ([]float64, error) {
	numbers, err := shm.NewArray[int32](squareNumbers, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = numbers.Close() }() // open until here: it cannot fail
	times, err := shm.NewValue(clock{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = times.Close() }() // open until here: it cannot fail
	if filled {
		v := numbers.View()
		for i := range v {
			v[i] = int32(i)
		}
	}
	var processes []*proc.Process
	for w := range workers {
		p, err := squareTask.Start(ctx, squareJob{numbers, times, w, workers, passes}, nil)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p.Process)
	}
	if err := join(ctx, processes); err != nil {
		return nil, err
	}
	c := times.Ptr()
	var milliseconds []float64
	for pass := range passes {
		begin, end := c.of[0].begin[pass], c.of[0].end[pass]
		for w := range workers {
			begin, end = min(begin, c.of[w].begin[pass]), max(end, c.of[w].end[pass])
		}
		milliseconds = append(milliseconds, float64(end-begin)/1e6)
	}
	return milliseconds, nil
}
