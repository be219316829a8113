package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const primitiveTurns = 2_000_000

// primitives are ours; each begins on a cache line of its own.
type primitives struct {
	rw        psync.RWMutex
	cond      psync.Cond
	bounded   psync.BoundedSemaphore
	group     psync.WaitGroup
	semaphore psync.Semaphore
	_         [64]byte
	event     psync.Event
	_         [60]byte
	once      psync.Once
}

// primitiveSubject: what a pair of calls costs that nobody else wants.
func primitiveSubject(p *programs) (*subject, error) {
	shared, err := shm.NewValue(primitives{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	s := shared.Ptr()
	if err := s.semaphore.Init(1, 0); err != nil {
		return nil, err
	}
	if err := s.bounded.Init(2); err != nil {
		return nil, err
	}
	ctx := context.Background()
	var (
		std     sync.RWMutex
		tokens  = make(chan struct{}, 1)
		cond    = sync.NewCond(&sync.Mutex{})
		group   sync.WaitGroup
		once    sync.Once
		nothing = func() {}
	)
	s.once.Do(nothing)
	once.Do(nothing)

	const (
		rlock, lock = "RLock, RUnlock", "Lock, Unlock"
		semaphore   = "Semaphore: Acquire, Release"
		bounded     = "BoundedSemaphore: Acquire, Release"
		signal      = "Cond: Signal, nobody waits"
		count       = "WaitGroup: Add, Done"
		done        = "Once: Do, done before"
	)
	pthread := func(name, kind string) *contender {
		return p.c(name, "primitive", kind, strconv.Itoa(primitiveTurns))
	}
	return &subject{
		Title:  "Primitives that nobody contends",
		Unit:   "ns",
		Method: "Two calls that undo each other, 2 million times in one process; the figure is the time of one pair, or of one call if one is named. Ours and those of glibc lie in shared memory, those of Go's sync do not.",
		Rounds: 7,
		Contenders: []*contender{
			loop("psync.RWMutex: "+rlock, func() { s.rw.RLock(); s.rw.RUnlock() }),
			loop("Go sync.RWMutex: "+rlock, func() { std.RLock(); std.RUnlock() }),
			pthread("pthread rwlock: rdlock, unlock", "rdlock"),
			loop("psync.RWMutex: "+lock, func() { s.rw.Lock(); s.rw.Unlock() }),
			loop("Go sync.RWMutex: "+lock, func() { std.Lock(); std.Unlock() }),
			pthread("pthread rwlock: wrlock, unlock", "wrlock"),
			loop("psync."+semaphore, func() { _ = s.semaphore.Acquire(ctx, 1); _ = s.semaphore.Release(1) }),
			loop("psync."+bounded, func() { _ = s.bounded.Acquire(ctx, 1); _ = s.bounded.Release(1) }),
			loop("Go channel: send, receive", func() { tokens <- struct{}{}; <-tokens }),
			pthread("sem_t: sem_wait, sem_post", "semaphore"),
			loop("psync."+signal, s.cond.Signal),
			loop("Go sync."+signal, cond.Signal),
			loop("psync.Event: Set, Clear", func() { s.event.Set(); s.event.Clear() }),
			loop("psync."+count, func() { s.group.Add(1); s.group.Done() }),
			loop("Go sync."+count, func() { group.Add(1); group.Done() }),
			loop("psync."+done, func() { s.once.Do(nothing) }),
			loop("Go sync."+done, func() { once.Do(nothing) }),
		},
		close: shared.Close,
	}, nil
}

// loop is a contender that calls f again and again. The calls of all of them are
// made through a function value, so none is inlined here.
func loop(name string, f func()) *contender {
	return &contender{Name: name, run: func(context.Context) ([]float64, error) {
		begin := time.Now()
		for range primitiveTurns {
			f()
		}
		return each(begin, primitiveTurns), nil
	}}
}
