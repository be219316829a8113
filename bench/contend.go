package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const contendTime = 400 * time.Millisecond

// A contest is what two processes share that take one lock in turn to count.
// Each field has a cache line of its own.
type contest struct {
	lock    psync.Mutex
	_       [56]byte
	counter int64
	_       [56]byte
	gate    gate
	_       [56]byte
	stop    atomic.Bool
	_       [60]byte
	had     [2]struct {
		n int64
		_ [56]byte
	}
}

type contendJob struct {
	Contest *shm.Value[contest]
	Me      int
}

var contendTask = proc.RegisterTask("contend", func(_ context.Context, job contendJob) error {
	c, n := job.Contest.Ptr(), int64(0)
	for c.gate.meet(2); !c.stop.Load(); n++ {
		c.lock.Lock()
		c.counter++
		c.lock.Unlock()
	}
	c.had[job.Me].n = n
	return nil
})

// contendSubject: two processes that do nothing but take one lock.
func contendSubject(p *programs) (*subject, error) {
	var ours, pthread turns
	milliseconds := fmt.Sprint(contendTime.Milliseconds())
	throughput := p.c("pthread robust", "contend", "robust", milliseconds)
	throughput.run = pthread.keep(throughput.run)
	return &subject{
		Title:  "A lock that two processes want all the time",
		Unit:   "M/s",
		Method: "Two processes count for 400 ms, each turn under the lock; the figure is the turns of both. The share is that of the process that got fewer, of what would be fair: 100 % is as many as the other, 0 % none.",
		Rounds: 11,
		Contenders: []*contender{
			{Name: "psync.Mutex", run: ours.keep(contend)},
			{Name: "psync.Mutex: share of the less served", Unit: "% of fair", run: ours.share},
			throughput,
			{Name: "pthread robust: share of the less served", Unit: "% of fair", run: pthread.share},
		},
		Targets: []target{
			atLeast("psync.Mutex", 1, "pthread robust"),
			atLeast("psync.Mutex: share of the less served", 100.0/3, ""),
		},
	}, nil
}

// turns is how often each of the two processes had the lock in the last round.
type turns []float64

// keep makes millions of both per second of what run counts.
func (t *turns) keep(run func(context.Context) ([]float64, error)) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		had, err := run(ctx)
		if err != nil {
			return nil, err
		}
		*t = had
		return []float64{(had[0] + had[1]) / contendTime.Seconds() / 1e6}, nil
	}
}

func (t *turns) share(context.Context) ([]float64, error) {
	had := *t
	return []float64{100 * slices.Min(had) / ((had[0] + had[1]) / 2)}, nil
}

// contend returns how often each process had the lock.
func contend(ctx context.Context) ([]float64, error) {
	shared, err := shm.NewValue(contest{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = shared.Close() }() // open until here: it cannot fail
	var processes []*proc.Process
	for me := range 2 {
		p, err := contendTask.Start(ctx, contendJob{shared, me}, nil)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p.Process)
	}
	c := shared.Ptr()
	if err := c.gate.await(ctx, 2, processes...); err != nil {
		return nil, err
	}
	time.Sleep(contendTime)
	c.stop.Store(true)
	if err := join(ctx, processes); err != nil {
		return nil, err
	}
	had := []float64{float64(c.had[0].n), float64(c.had[1].n)}
	if c.counter != c.had[0].n+c.had[1].n {
		return nil, fmt.Errorf("the lock does not exclude: %d turns counted, %v had", c.counter, had)
	}
	return had, nil
}

// join waits for all and returns the first error.
func join(ctx context.Context, processes []*proc.Process) (err error) {
	for _, p := range processes {
		if e := p.Join(ctx); err == nil {
			err = e
		}
	}
	return err
}
