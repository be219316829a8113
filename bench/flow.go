package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	flowTime  = 100 * time.Millisecond
	flowBatch = 64
	flowReady = 30 * time.Millisecond // until commits are cheap: see internal/barrier
	inPlace   = 0                     // as a batch: one by one, written and read in shared memory

	last = ^uint64(0) // first word of the message that ends a flow
)

var flowMillis = fmt.Sprint(flowTime.Milliseconds())

// A message has one of the sizes that are measured.
type message interface {
	[1]uint64 | [8]uint64 | [128]uint64 | [8192]uint64
}

// capacity is how many messages of some bytes a ring is made for: ours, C's and
// Boost's.
func capacity(size int) int { return min(1024, 8<<20/size) }

// capacityOf is capacity for the programs, which are given the bytes in words.
func capacityOf(size string) string {
	n, err := strconv.Atoi(size)
	if err != nil {
		panic(err) // a constant of this program
	}
	return strconv.Itoa(capacity(n))
}

// A flow is what the processes share that send messages to each other.
type flow struct {
	gate gate
	_    [56]byte
	stop atomic.Bool
	_    [60]byte
	of   [4]struct { // the senders, and then the receivers
		at       int64 // when a sender began, or a receiver ended
		messages int64 // without the last
		_        [48]byte
	}
}

// begin returns when all processes are ready, and runFlow lets them go.
func (f *flow) begin(processes int) { f.gate.gather(processes + 1) }

// runFlow measures a flow from some senders to as many receivers, which start is
// to start, and returns the messages per second. When the senders have ended,
// close lets go on who still waits.
func runFlow(ctx context.Context, pairs int, start func(*shm.Value[flow]) ([]*proc.Process, error), close func() error) ([]float64, error) {
	shared, err := shm.NewValue(flow{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = shared.Close() }() // open until here: it cannot fail
	processes, err := start(shared)
	if err != nil {
		return nil, err
	}
	f := shared.Ptr()
	if err := f.gate.await(ctx, 2*pairs, processes...); err != nil {
		return nil, err
	}
	time.Sleep(flowReady)
	f.begin(2 * pairs)
	time.Sleep(flowTime)
	f.stop.Store(true)
	if err := join(ctx, processes[:pairs]); err != nil {
		return nil, err
	}
	if err := close(); err != nil {
		return nil, err
	}
	if err := join(ctx, processes[pairs:]); err != nil {
		return nil, err
	}
	begin, end, balance, received := f.of[0].at, int64(0), int64(0), int64(0)
	for i := range pairs {
		begin, end = min(begin, f.of[i].at), max(end, f.of[pairs+i].at)
		balance += f.of[i].messages - f.of[pairs+i].messages
		received += f.of[pairs+i].messages
	}
	if balance != 0 {
		return nil, fmt.Errorf("%d messages were received, %d fewer than were sent", received, balance)
	}
	return []float64{float64(received) / (float64(end-begin) / 1e9)}, nil
}

// millions makes millions per second of what run counts.
func millions(run func(context.Context) ([]float64, error)) func(context.Context) ([]float64, error) {
	return scaled(run, 1e-6)
}

func scaled(run func(context.Context) ([]float64, error), by float64) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		samples, err := run(ctx)
		for i := range samples {
			samples[i] *= by
		}
		return samples, err
	}
}

// fill writes a message in its place, and look reads one there, a word of each
// cache line. C's ring does the same.
func fill[T message](m *T, first uint64) {
	var zero T
	*m = zero
	(*m)[0] = first
}

func look[T message](m *T) (sum uint64) {
	for i := 0; i < len(*m); i += 8 {
		sum += (*m)[i]
	}
	return sum
}
