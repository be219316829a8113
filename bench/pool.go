package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// poolWorkers is how many workers each pool has here, in Go and in Python.
const poolWorkers = 2

var sameTask = proc.Register("same", func(_ context.Context, x int) (int, error) { return x, nil })

// A lazyPool is made by the first contender that needs it.
type lazyPool struct{ pool *proc.Pool }

// get returns a pool whose workers run.
func (l *lazyPool) get(ctx context.Context) (*proc.Pool, error) {
	if l.pool != nil {
		return l.pool, nil
	}
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: poolWorkers})
	if err != nil {
		return nil, err
	}
	l.pool = p
	_, err = sameTask.Map(ctx, p, make([]int, 1000), &proc.MapOptions{Chunk: 1})
	return p, err
}

func (l *lazyPool) close() error {
	if l.pool == nil {
		return nil
	}
	return l.pool.Close()
}

// A poolRun gives the pool n tasks that do nothing.
type poolRun func(ctx context.Context, p *proc.Pool, chunk, n int) error

func poolMap(ctx context.Context, p *proc.Pool, chunk, n int) error {
	out, err := sameTask.Map(ctx, p, numbers(n), &proc.MapOptions{Chunk: chunk})
	if err == nil && out[n-1] != n-1 {
		err = errors.New("a wrong result")
	}
	return err
}

func poolStream(ctx context.Context, p *proc.Pool, chunk, n int) error {
	for _, err := range sameTask.Stream(ctx, p, slices.Values(numbers(n)), &proc.MapOptions{Chunk: chunk}) {
		if err != nil {
			return err
		}
		n--
	}
	return missing(n)
}

func poolUnordered(ctx context.Context, p *proc.Pool, chunk, n int) error {
	for r := range sameTask.MapUnordered(ctx, p, slices.Values(numbers(n)), &proc.MapOptions{Chunk: chunk}) {
		if r.Err != nil {
			return r.Err
		}
		n--
	}
	return missing(n)
}

func missing(n int) error {
	if n != 0 {
		return fmt.Errorf("%d results are missing", n)
	}
	return nil
}

// numbers are 0 to n-1.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// perSecond measures n tasks.
func perSecond(n int, run func() error) ([]float64, error) {
	begin := time.Now()
	if err := run(); err != nil {
		return nil, err
	}
	return []float64{float64(n) / time.Since(begin).Seconds()}, nil
}

// goroutines is what the tasks cost without processes: as many goroutines take
// numbers from one channel and put them into another.
func goroutines(_ context.Context, n int) ([]float64, error) {
	in, out := make(chan int, 1024), make(chan int, 1024)
	var workers sync.WaitGroup
	for range poolWorkers {
		workers.Go(func() {
			for x := range in {
				out <- x
			}
		})
	}
	samples, err := perSecond(n, func() error {
		go func() {
			for x := range n {
				in <- x
			}
			close(in)
		}()
		for range n {
			<-out
		}
		return nil
	})
	workers.Wait()
	return samples, err
}

// poolSubject: many tasks that do nothing.
func poolSubject(p *programs) (*subject, error) {
	var pool lazyPool
	s := &subject{
		Title:  "Tasks that do nothing, through a pool of two",
		Unit:   "M/s",
		Method: "A round gives the pool's two workers as many numbers as take some 100 ms, and takes them back. CPython's map and imap are Map and Stream here, its imap_unordered is MapUnordered; the chunks are the same, or what each library chooses by itself. Two goroutines that take numbers from a channel, and put them into another one, are what the same costs without processes: nothing is limited, and nobody survives anything.",
		Rounds: 5,
		close:  pool.close,
	}
	type way struct {
		name   string
		run    poolRun
		peer   string // of multiprocessing.Pool
		script string
	}
	maps := way{"Map", poolMap, "map", "map"}
	streams := way{"Stream", poolStream, "imap", "imap"}
	unordered := way{"MapUnordered", poolUnordered, "imap_unordered", "unordered"}
	for _, row := range []struct {
		way
		chunk, n int
		theirs   int // as n, for CPython
		faster   float64
	}{
		{maps, 1, 200_000, 10_000, 40},
		{maps, 100, 2_000_000, 200_000, 0},
		{maps, 0, 2_000_000, 1_000_000, 3},
		{streams, 1, 100_000, 10_000, 0},
		{streams, 0, 1_000_000, 0, 0},
		{unordered, 100, 1_000_000, 200_000, 0},
		{unordered, 0, 1_000_000, 0, 0},
	} {
		chunk := fmt.Sprintf(", chunks of %d", row.chunk)
		if row.chunk == 0 {
			chunk = ", chunks by default"
		}
		ours := row.name + chunk
		s.Contenders = append(s.Contenders, &contender{Name: ours, run: millions(func(ctx context.Context) ([]float64, error) {
			p, err := pool.get(ctx)
			if err != nil {
				return nil, err
			}
			return perSecond(row.n, func() error { return row.run(ctx, p, row.chunk, row.n) })
		})})
		if row.theirs == 0 {
			continue
		}
		peer := p.py("CPython "+row.peer+chunk, "pool.py", row.script, strconv.Itoa(row.chunk), strconv.Itoa(row.theirs))
		peer.run = millions(peer.run)
		s.Contenders = append(s.Contenders, peer)
		if row.faster > 0 {
			s.Targets = append(s.Targets, atLeast(ours, row.faster, peer.Name))
		}
	}
	s.Contenders = append(s.Contenders, &contender{Name: "goroutines, channels", run: millions(func(ctx context.Context) ([]float64, error) {
		return goroutines(ctx, 500_000)
	})})
	return s, nil
}
