package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A holding is the lock of a process that is going to be killed.
type holding struct {
	lock psync.Mutex
	held gate
}

type holdJob struct {
	Holding  *shm.Value[holding]
	Resident int // MiB
}

var holdTask = proc.RegisterTask("hold", func(ctx context.Context, job holdJob) error {
	if _, err := resident(job.Resident); err != nil {
		return err
	}
	h := job.Holding.Ptr()
	h.lock.Lock()
	h.held.meet(1)
	<-ctx.Done()
	return nil
})

// resident maps private memory and touches all of it, in small pages: those are
// what a process has as a rule, and they take the kernel longest to free.
func resident(mib int) ([]byte, error) {
	if mib == 0 {
		return nil, nil
	}
	mem, err := unix.Mmap(-1, 0, mib<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d MiB: %w", mib, err)
	}
	if err := unix.Madvise(mem, unix.MADV_NOHUGEPAGE); err != nil {
		return nil, fmt.Errorf("ask for small pages: %w", err)
	}
	for i := 0; i < len(mem); i += unix.Getpagesize() {
		mem[i] = 1
	}
	return mem, nil
}

// recoverSubject: how soon a waiter has the lock of a process that was killed.
func recoverSubject(p *programs) (*subject, error) {
	const small, big = "psync.Mutex", "psync.Mutex, holder with 1 GiB"
	return &subject{
		Title:  "The holder of a lock is killed",
		Unit:   "µs",
		Method: "A child takes the lock. When a waiter in the parent has been asleep on it for 3 ms, the child gets SIGKILL. The figure is the time from just before the kill until the waiter holds the lock and knows of the death; ours includes the fence (docs/robustness.md), for which pthread has no counterpart. A round is 30 deaths, or 2 of a child with 1 GiB resident; its figure is their median.",
		Rounds: 5,
		Contenders: []*contender{
			{Name: small, run: func(ctx context.Context) ([]float64, error) { return deaths(ctx, 30, 0) }},
			p.c("pthread robust", "recover", "30", "0"),
			{Name: big, run: func(ctx context.Context) ([]float64, error) { return deaths(ctx, 2, 1024) }},
			p.c("pthread robust, holder with 1 GiB", "recover", "2", "1024"),
		},
		Targets: []target{
			atMost(small, 200, ""),
			atMost(big, 200, ""),
		},
	}, nil
}

// deaths returns the microseconds of n recoveries.
func deaths(ctx context.Context, n, mib int) ([]float64, error) {
	var times []float64
	for range n {
		t, err := death(ctx, mib)
		if err != nil {
			return nil, err
		}
		times = append(times, float64(t)/1e3)
	}
	return times, nil
}

func death(ctx context.Context, mib int) (time.Duration, error) {
	shared, err := shm.NewValue(holding{}, &shm.Options{NoLock: true})
	if err != nil {
		return 0, err
	}
	defer func() { _ = shared.Close() }() // open until here: it cannot fail
	h := shared.Ptr()
	p, err := holdTask.Start(ctx, holdJob{shared, mib}, nil)
	if err != nil {
		return 0, err
	}
	if err := h.held.await(ctx, 1, p.Process); err != nil {
		return 0, err
	}

	var got int64
	told := make(chan error)
	go func() {
		err := h.lock.LockContext(ctx)
		got = now()
		told <- err
	}()
	time.Sleep(3 * time.Millisecond) // the waiter is asleep
	begin := now()
	p.Kill()
	if err := <-told; !errors.Is(err, psync.ErrOwnerDied) {
		return 0, fmt.Errorf("not told that the holder died, but: %v", err)
	}
	h.lock.MarkConsistent()
	h.lock.Unlock()
	<-p.Done()
	return time.Duration(got - begin), nil
}
