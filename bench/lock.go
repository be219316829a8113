package main

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const lockTurns = 4_000_000

// locks are those of ours that are measured.
type locks struct {
	plain     psync.Mutex
	_         [64]byte
	recursive psync.RMutex
}

func newLocks() (*shm.Value[locks], error) {
	return shm.NewValue(locks{}, &shm.Options{NoLock: true})
}

// lockSubject: what a lock costs that nobody else wants.
func lockSubject(p *programs) (*subject, error) {
	shared, err := newLocks()
	if err != nil {
		return nil, err
	}
	l := shared.Ptr()
	pthread := func(name, kind string) *contender {
		c := p.c(name, "lock", kind, strconv.Itoa(lockTurns))
		c.path = func() (path, error) { return countPath(filepath.Join(p.dir, "lock"), "lock", kind, "traced") }
		return c
	}
	ours := func(kind string) func() (path, error) {
		return func() (path, error) { return countPath("/proc/self/exe", plainTraced, kind) }
	}
	return &subject{
		Title:  "A lock that nobody contends",
		Unit:   "ns",
		Method: "Lock and unlock 4 million times; the figure is the time of one pair. Our locks and glibc's process-shared ones lie in shared memory.",
		Why: "Why it costs what it costs: a pair was stepped through, instruction by instruction, in a process of its own; a NOP counts like any other. " +
			"The locked instructions, one to take and one to let go, take most of the time: a hundred others make a difference of a few nanoseconds. " +
			"What psync.Mutex has beyond sync.Mutex is the load of this process's roster id, through a pointer, and the test that there is one, each way: the lock word is to name its holder. " +
			"A robust pthread mutex pays for its robustness each time, with an entry that it announces, puts into its thread's list and takes out again; ours pays once in the life of a process, with its liveness word. " +
			"psync.RMutex asks twice which goroutine it is called by, and keeps owner and depth by plain stores.",
		Rounds: 11,
		Contenders: []*contender{
			{Name: "Go sync.Mutex (one process)", run: stdMutex, path: ours("sync.Mutex")},
			{Name: "psync.Mutex", run: func(context.Context) ([]float64, error) { return mutex(&l.plain), nil }, path: ours("psync.Mutex")},
			{Name: "psync.RMutex", run: func(context.Context) ([]float64, error) { return rmutex(&l.recursive), nil }, path: ours("psync.RMutex")},
			pthread("pthread", "plain"),
			pthread("pthread robust", "robust"),
			pthread("pthread recursive", "recursive"),
			pthread("pthread robust+recursive", "robust+recursive"),
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
