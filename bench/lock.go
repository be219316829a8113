package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const lockTurns = 4_000_000

// lockSubject: what a lock costs that nobody else wants.
func lockSubject(p *programs) (*subject, error) {
	type locks struct {
		plain     psync.Mutex
		_         [64]byte
		recursive psync.RMutex
	}
	shared, err := shm.NewValue(locks{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	l := shared.Ptr()
	turns := strconv.Itoa(lockTurns)
	return &subject{
		Title:  "A lock that nobody contends",
		Unit:   "ns",
		Method: "Lock and unlock 4 million times; the figure is the time of one pair. Our locks and glibc's process-shared ones lie in shared memory.",
		Rounds: 11,
		Contenders: []*contender{
			{Name: "Go sync.Mutex (one process)", run: stdMutex},
			{Name: "psync.Mutex", run: func(context.Context) ([]float64, error) { return mutex(&l.plain), nil }},
			{Name: "psync.RMutex", run: func(context.Context) ([]float64, error) { return rmutex(&l.recursive), nil }},
			p.c("pthread", "lock", "plain", turns),
			p.c("pthread robust", "lock", "robust", turns),
			p.c("pthread recursive", "lock", "recursive", turns),
			p.c("pthread robust+recursive", "lock", "robust+recursive", turns),
		},
		Targets: []target{
			atMost("psync.Mutex", 1.1, "Go sync.Mutex (one process)"),
			atMost("psync.Mutex", 0.9, "pthread robust"),
			atMost("psync.RMutex", 1.1, "pthread robust+recursive"),
		},
		close: shared.Close,
	}, nil
}

// Three loops, not one over an interface: the calls are to be inlined where they
// can be, as in a program.

func stdMutex(context.Context) ([]float64, error) {
	m := new(sync.Mutex)
	begin := time.Now()
	for range lockTurns {
		m.Lock()
		m.Unlock() //nolint:staticcheck // nothing between: the lock alone is measured
	}
	return each(begin, lockTurns), nil
}

func mutex(m *psync.Mutex) []float64 {
	begin := time.Now()
	for range lockTurns {
		m.Lock()
		m.Unlock() //nolint:staticcheck // nothing between: the lock alone is measured
	}
	return each(begin, lockTurns)
}

func rmutex(m *psync.RMutex) []float64 {
	begin := time.Now()
	for range lockTurns {
		m.Lock()
		m.Unlock() //nolint:staticcheck // nothing between: the lock alone is measured
	}
	return each(begin, lockTurns)
}

// each is the time since begin divided among n turns, in nanoseconds.
func each(begin time.Time, n int) []float64 {
	return []float64{float64(time.Since(begin)) / float64(n)}
}
