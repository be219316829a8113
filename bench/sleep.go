package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	sleepers   = 256
	settleTime = 3 * time.Second // after that each looks every 2 s
	sleepTime  = 4 * time.Second // twice
)

// A sleepJob is what a process waits for, and how it says that it is there.
type sleepJob struct {
	Queue *shm.Queue[int64]
	Here  *shm.Value[gate]
}

var sleepTask = proc.RegisterTask("sleep", func(ctx context.Context, job sleepJob) error {
	job.Here.Ptr().arrived.Add(1)
	if _, err := job.Queue.Get(ctx); !errors.Is(err, shm.ErrClosed) {
		return fmt.Errorf("the wait for an item ended with: %v", err)
	}
	return nil
})

// sleepSubject: what those cost who wait for an item that does not come.
func sleepSubject(*programs) (*subject, error) {
	const ours = "waiting in Queue.Get"
	return &subject{
		Title:      "A process that waits for nothing to come",
		Unit:       "% of a processor",
		Method:     "256 processes wait for an item of one empty queue. When they have done so for 3 s, the kernel is asked for their processor time (clock_getcpuclockid) over 4 s more, the Go runtime's included; the figure is that of one process.",
		Rounds:     2,
		Contenders: []*contender{{Name: ours, run: sleep}},
		Targets:    []target{atMost(ours, 0.05, "")},
	}, nil
}

// sleep returns what one sleeper uses of a processor, in percent.
func sleep(ctx context.Context) ([]float64, error) {
	here, err := shm.NewValue(gate{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = here.Close() }() // open until here: it cannot fail
	q, err := shm.NewQueue[int64](1, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = q.Detach() }() // open until here: it cannot fail
	var processes []*proc.Process
	for range sleepers {
		p, err := sleepTask.Start(ctx, sleepJob{q, here}, nil)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p.Process)
	}
	if err := here.Ptr().await(ctx, sleepers, processes...); err != nil {
		return nil, err
	}
	time.Sleep(settleTime)
	begin, before, err := processorTime(processes)
	if err != nil {
		return nil, err
	}
	time.Sleep(sleepTime)
	end, after, err := processorTime(processes)
	if err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	if err := join(ctx, processes); err != nil {
		return nil, err
	}
	return []float64{100 * float64(after-before) / float64(end-begin) / sleepers}, nil
}

// processorTime returns the nanoseconds of processor time that the processes have
// used together, and when that was.
func processorTime(processes []*proc.Process) (at, used int64, err error) {
	for _, p := range processes {
		var t unix.Timespec
		if err := unix.ClockGettime(processClock(p.Pid()), &t); err != nil {
			return 0, 0, fmt.Errorf("processor time of process %d: %w", p.Pid(), err)
		}
		used += t.Nano()
	}
	return now(), used, nil
}

// processClock is the clock of a process's processor time, as
// clock_getcpuclockid makes it: the scheduler's count, which is exact.
func processClock(pid int) int32 {
	const scheduler = 2
	return int32(^pid)<<3 | scheduler
}
