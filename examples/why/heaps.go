package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// A session is one of many small objects that a server keeps. The collector has to
// look at each of them and follow its pointer, each time.
type session struct{ hits *int }

// litter makes garbage until its context ends.
func litter(ctx context.Context) {
	var kept [64][]byte
	for i := 0; ctx.Err() == nil; i++ {
		kept[i%len(kept)] = make([]byte, 16<<10)
	}
}

var litterTask = proc.RegisterTask("litter", func(ctx context.Context, _ proc.None) error {
	litter(ctx)
	return nil
})

// A service is how well requests were answered.
type service struct {
	collections uint32        // of this process's heap
	stopped     time.Duration // the whole process, by the collector
	all         time.Duration // until all requests were answered
}

// heaps answers requests while somebody makes garbage: nobody, a goroutine, a process.
func heaps(ctx context.Context, sessions, requests int) (*measure.Table, error) {
	store := make([]*session, sessions)
	for i := range store {
		store[i] = &session{hits: new(int)}
	}
	t := measure.NewTable("A server with a large heap, and garbage beside it", "garbage is made by", "collections", "stopped", "all requests")
	add := func(by string, s service) { t.Add(by, s.collections, s.stopped, s.all) }

	add("nobody", serve(store, requests))

	beside, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		litter(beside)
		close(ended)
	}()
	add("a goroutine", serve(store, requests))
	cancel()
	<-ended

	apart, cancel := context.WithCancel(ctx)
	p, err := litterTask.Start(apart, proc.None{}, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	add("a process", serve(store, requests))
	cancel()
	<-p.Done()
	return t, nil
}

// serve answers requests. Each finds a session and counts; that makes no garbage.
func serve(store []*session, requests int) service {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for range requests {
		*store[rand.IntN(len(store))].hits++
	}
	all := time.Since(begin)
	runtime.ReadMemStats(&after)
	return service{
		collections: after.NumGC - before.NumGC,
		stopped:     time.Duration(after.PauseTotalNs - before.PauseTotalNs),
		all:         all,
	}
}
