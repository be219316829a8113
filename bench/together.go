package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const togetherTimes = 20_000

// A meeting is what two processes share that do something together.
type meeting struct {
	rw      psync.RWMutex
	barrier psync.Barrier
	lock    psync.Mutex
	_       [56]byte
	turned  [2]psync.Cond
	turn    int64
	_       [56]byte
	gate    gate
}

type meetJob struct {
	Meeting *shm.Value[meeting]
	What    string // barrier, cond or readers, as together.c
	Me      int
	Times   int
}

// meetTask returns the nanoseconds of one time.
var meetTask = proc.Register("meet", func(ctx context.Context, job meetJob) (float64, error) {
	m := job.Meeting.Ptr()
	m.gate.meet(2)
	begin := time.Now()
	var err error
	switch job.What {
	case "barrier":
		for i := 0; i < job.Times && err == nil; i++ {
			_, err = m.barrier.Wait(ctx)
		}
	case "readers":
		for range job.Times {
			m.rw.RLock()
			m.rw.RUnlock()
		}
	case "cond":
		for range job.Times {
			m.lock.Lock()
			for m.turn != int64(job.Me) {
				m.turned[job.Me].Wait(&m.lock)
			}
			m.turn = int64(1 - job.Me)
			m.turned[1-job.Me].Signal()
			m.lock.Unlock()
		}
	}
	return each(begin, job.Times)[0], err
})

// togetherSubject: what two processes do together, again and again.
func togetherSubject(p *programs) (*subject, error) {
	s := &subject{
		Title:  "What two processes do together",
		Unit:   "ns",
		Method: "Barrier: both wait for each other, 20,000 times. Cond: each waits for its turn and hands it to the other, 20,000 times each. RWMutex: both lock for reading and unlock, 2 million times. The figure is the time of one time. Ours looks for a while before it sleeps.",
		Rounds: 7,
	}
	for _, of := range []struct {
		what, ours, pthread string
		times               int
	}{
		{"barrier", "psync.Barrier", "pthread_barrier_t", togetherTimes},
		{"cond", "psync.Cond", "pthread_cond_t", togetherTimes},
		{"readers", "psync.RWMutex: RLock, RUnlock", "pthread_rwlock_t: rdlock, unlock", 100 * togetherTimes},
	} {
		s.Contenders = append(s.Contenders,
			&contender{Name: of.ours, run: func(ctx context.Context) ([]float64, error) { return meet(ctx, of.what, of.times) }},
			p.c(of.pthread, "together", of.what, strconv.Itoa(of.times)))
	}
	return s, nil
}

// meet has two processes do something together.
func meet(ctx context.Context, what string, times int) (_ []float64, err error) {
	shared, err := shm.NewValue(meeting{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	if err := shared.Ptr().barrier.Init(2); err != nil {
		return nil, err
	}
	var calls []*proc.Call[float64]
	for me := range 2 {
		call, err := meetTask.Start(ctx, meetJob{shared, what, me, times}, nil)
		if err != nil {
			return nil, err
		}
		calls = append(calls, call)
	}
	var figures []float64
	for _, call := range calls {
		figure, err := call.Result(ctx)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure)
	}
	return figures, nil
}
