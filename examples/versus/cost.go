package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// cost measures what one of each kind costs.
func cost(ctx context.Context, size sizes) (*measure.Table, error) {
	switches, err := switches(ctx, size)
	if err != nil {
		return nil, err
	}
	t := measure.NewTable("4. Overhead: what one costs", "kind", "start and end", "memory, KiB", "switch, on one processor")
	for _, kind := range []string{goroutine, thread, process} {
		start, err := measure.Median(size.starts, func() (time.Duration, error) {
			return measure.Time(func() error { return startAndEnd(ctx, kind) })
		})
		if err != nil {
			return nil, err
		}
		memory, err := resident(ctx, kind)
		if err != nil {
			return nil, err
		}
		t.Add(kind, start, fmt.Sprintf("%.0f", float64(memory)/1024), switches[kind])
	}
	return t, nil
}

var nothing = proc.RegisterTask("nothing", func(context.Context, proc.None) error { return nil })

// startAndEnd starts one that does nothing, and waits for its end. A goroutine that
// ends with its thread locked takes the thread along.
func startAndEnd(ctx context.Context, kind string) error {
	if kind == process {
		p, err := nothing.Start(ctx, proc.None{}, nil)
		if err != nil {
			return err
		}
		return p.Join(ctx)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if kind == thread {
			runtime.LockOSThread()
		}
	})
	group.Wait()
	return nil
}

// resident returns how much memory one takes that does nothing but wait. Of a process
// it is what it does not share with the others of this program.
func resident(ctx context.Context, kind string) (int, error) {
	switch kind {
	case process:
		pipe, waiting, err := startPeer(ctx, answerAll, 1)
		if err != nil {
			return 0, err
		}
		memory, err := private(strconv.Itoa(waiting.Pid()))
		if err != nil {
			return 0, err
		}
		if err := pipe.Send(ctx, 0); err != nil {
			return 0, err
		}
		return memory, end(ctx, pipe, waiting)
	case thread:
		return parked(100, true)
	default:
		return parked(10_000, false)
	}
}

// parked returns how much memory each of n takes that wait in this process.
func parked(n int, onThreads bool) (each int, err error) {
	before, err := private("self")
	if err != nil {
		return 0, err
	}
	var there, gone sync.WaitGroup
	there.Add(n)
	measured := make(chan struct{})
	gone.Go(func() {
		together(n, onThreads, func(int) {
			there.Done()
			<-measured
		})
	})
	there.Wait()
	after, err := private("self")
	close(measured)
	gone.Wait()
	return max(0, after-before) / n, err // other memory may have been given back meanwhile
}

// private returns how many bytes of memory are in use by one process alone.
func private(pid string) (sum int, err error) {
	text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if name, rest, _ := bytes.Cut(line, []byte(":")); bytes.HasPrefix(name, []byte("Private_")) {
			kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
			if err != nil {
				return 0, err
			}
			sum += kib << 10
		}
	}
	return sum, nil
}

// onOne measures switches in a process that may use one processor only, as may the
// process that it starts: half the time of a message and its answer.
var onOne = proc.Register("on one processor", func(ctx context.Context, size sizesOfTrips) (map[string]time.Duration, error) {
	figures := map[string]time.Duration{}
	for _, kind := range []string{goroutine, thread, process} {
		each, err := measure.Median(size.Rounds, func() (time.Duration, error) { return trip(ctx, kind, size.Trips) })
		if err != nil {
			return nil, err
		}
		figures[kind] = each / 2
	}
	return figures, nil
})

type sizesOfTrips struct{ Trips, Rounds int }

// switches has a worker of a pool do that, because a pool can bind its workers to
// processors.
func switches(ctx context.Context, size sizes) (map[string]time.Duration, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Pin: true})
	if err != nil {
		return nil, err
	}
	figures, err := onOne.Submit(ctx, pool, sizesOfTrips{size.trips, size.rounds}).Get(ctx)
	if err != nil {
		return nil, err
	}
	return figures, pool.Close()
}
