package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const largeSize = 10 << 20

// largeData is what goes to and fro, made when it is first wanted: not every child
// process needs it.
var largeData []byte

func large() []byte {
	if largeData == nil {
		largeData = make([]byte, largeSize)
		for i := range largeData {
			largeData[i] = byte(i) // pages of its own
		}
	}
	return largeData
}

// largeArray is a worker's view of the array that it was given at its start.
var largeArray *shm.Array[byte]

var (
	largeAttach = proc.RegisterTask("large attach", func(_ context.Context, a *shm.Array[byte]) error {
		largeArray = a
		return nil
	})
	largeLength = proc.Register("large length", func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	largeMake   = proc.Register("large make", func(context.Context, int) ([]byte, error) { return large(), nil })
	largeFill   = proc.Register("large fill", func(context.Context, int) (int, error) {
		return copy(largeArray.View(), large()), nil
	})
	largeAttached = proc.Register("large attached", func(_ context.Context, a *shm.Array[byte]) (int, error) {
		return copy(a.View(), large()), nil
	})
)

// A largePool has workers that share an array with this process.
type largePool struct {
	pool  *proc.Pool
	array *shm.Array[byte]
}

// get makes the pool when it is first wanted.
func (l *largePool) get(ctx context.Context) (_ *proc.Pool, err error) {
	if l.array == nil {
		if l.array, err = shm.NewArray[byte](largeSize, nil); err != nil {
			return nil, err
		}
	}
	if l.pool == nil {
		l.pool, err = proc.NewPool(ctx, &proc.PoolOptions{Workers: poolWorkers, Init: largeAttach.With(l.array)})
	}
	return l.pool, err
}

func (l *largePool) close() (err error) {
	if l.pool != nil {
		err = l.pool.Close()
	}
	if l.array != nil {
		err = errors.Join(err, l.array.Close())
	}
	return err
}

// gibs returns the GiB per second of n runs of one way, each of 10 MiB.
func (l *largePool) gibs(n int, run func(context.Context, *proc.Pool) (int, error)) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		p, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		var samples []float64
		for range n {
			begin := time.Now()
			length, err := run(ctx, p)
			if err != nil {
				return nil, err
			}
			samples = append(samples, float64(largeSize)/(1<<30)/time.Since(begin).Seconds())
			if length != largeSize {
				return nil, fmt.Errorf("%d bytes of %d", length, largeSize)
			}
		}
		return samples, nil
	}
}

// largeSubject: tasks that take or give much.
func largeSubject(p *programs) (*subject, error) {
	const shared = "shared array, by Init"
	l := new(largePool)
	python := func(name, what string, n int) *contender {
		return p.py(name, "pool.py", what, strconv.Itoa(n))
	}
	return &subject{
		Title:  "10 MiB into a task, and out of it",
		Unit:   "GiB/s",
		Method: "A slice of 10 MiB is the argument of a task, or its result; one task after another, the figure is the median of 10 (CPython: the mean of 5), and of 20 where an array is shared. \"Shared array\": the worker copies 10 MiB of its own into an array that the parent sees too. The workers have got the array from Init, as CPython's from their initializer; or each task gets it as its argument, and the worker maps it, touches it for the first time, and unmaps it.",
		Rounds: 5,
		close:  l.close,
		Contenders: []*contender{
			{Name: "argument", run: l.gibs(10, func(ctx context.Context, p *proc.Pool) (int, error) {
				return largeLength.Submit(ctx, p, large()).Get(ctx)
			})},
			python("CPython argument", "argument", 5),
			{Name: "result", run: l.gibs(10, func(ctx context.Context, p *proc.Pool) (int, error) {
				b, err := largeMake.Submit(ctx, p, 0).Get(ctx)
				return len(b), err
			})},
			python("CPython result", "result", 5),
			{Name: shared, run: l.gibs(20, func(ctx context.Context, p *proc.Pool) (int, error) {
				return largeFill.Submit(ctx, p, 0).Get(ctx)
			})},
			{Name: "shared array, as argument", run: l.gibs(20, func(ctx context.Context, p *proc.Pool) (int, error) {
				return largeAttached.Submit(ctx, p, l.array).Get(ctx)
			})},
			python("CPython shared array", "shared", 20),
		},
		Targets: []target{
			atLeast("argument", 1, "CPython argument"),
			atLeast("result", 1, "CPython result"),
			atLeast(shared, 10, ""),
		},
	}, nil
}
