package main

import (
	"context"
	"errors"
	"runtime"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

type pipeJob[T message] struct {
	Pipe  *shm.Pipe[T]
	Flow  *shm.Value[flow]
	Batch int
}

// The functions that measure pipes, for each type of messages.
type pipeFlow[T message] struct {
	send, recv *proc.Func[pipeJob[T], proc.None]
}

var (
	pipe8   = newPipeFlow[[1]uint64]("8")
	pipe64  = newPipeFlow[[8]uint64]("64")
	pipe1K  = newPipeFlow[[128]uint64]("1K")
	pipe64K = newPipeFlow[[8192]uint64]("64K")
)

func newPipeFlow[T message](size string) pipeFlow[T] {
	return pipeFlow[T]{
		proc.RegisterTask("send "+size, sendFlow[T]),
		proc.RegisterTask("recv "+size, recvFlow[T]),
	}
}

func sendFlow[T message](ctx context.Context, job pipeJob[T]) (err error) {
	p, f, me := job.Pipe, job.Flow.Ptr(), &job.Flow.Ptr().of[0]
	f.begin(2)
	me.at = now()
	var v T
	n := uint64(0)
	switch job.Batch {
	case inPlace:
		for ; err == nil && !f.stop.Load(); n++ {
			err = p.SendFunc(ctx, func(v *T) error { fill(v, n); return nil })
		}
	case 1:
		for ; err == nil && !f.stop.Load(); n++ {
			v[0] = n
			err = p.Send(ctx, v)
		}
	default:
		batch := make([]T, job.Batch)
		for err == nil && !f.stop.Load() {
			for i := range batch {
				batch[i][0] = n
				n++
			}
			_, err = p.SendAll(ctx, batch)
		}
	}
	if err != nil {
		return err
	}
	me.messages = int64(n)
	v[0] = last
	if err := p.Send(ctx, v); err != nil {
		return err
	}
	return p.Close()
}

func recvFlow[T message](ctx context.Context, job pipeJob[T]) (err error) {
	p, f, me := job.Pipe, job.Flow.Ptr(), &job.Flow.Ptr().of[1]
	f.begin(2)
	n, sum, ended := int64(0), uint64(0), false
	switch job.Batch {
	case inPlace:
		for ; !ended && err == nil; n++ {
			err = p.RecvFunc(ctx, func(v *T) error {
				sum += look(v)
				ended = (*v)[0] == last
				return nil
			})
		}
	case 1:
		var v T
		for ; v[0] != last && err == nil; n++ {
			v, err = p.Recv(ctx)
		}
	default:
		batch := make([]T, job.Batch)
		for k := 0; !ended && err == nil; n += int64(k) {
			k, err = p.RecvUpTo(ctx, batch)
			ended = k > 0 && batch[k-1][0] == last
		}
	}
	runtime.KeepAlive(sum)
	me.at, me.messages = now(), n-1
	return err
}

// run measures a pipe.
func (t pipeFlow[T]) run(batch int) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) (_ []float64, err error) {
		var v T
		receiver, sender, err := shm.NewPipe[T](&shm.PipeOptions{OneWay: true, Capacity: capacity(8 * len(v))})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, receiver.Close(), sender.Close()) }()
		return runFlow(ctx, 1, func(shared *shm.Value[flow]) ([]*proc.Process, error) {
			s, err := t.send.Start(ctx, pipeJob[T]{sender, shared, batch}, nil)
			if err != nil {
				return nil, err
			}
			r, err := t.recv.Start(ctx, pipeJob[T]{receiver, shared, batch}, nil)
			if err != nil {
				return nil, err
			}
			return []*proc.Process{s.Process, r.Process}, nil
		}, func() error { return nil })
	}
}

// pipeSubject: messages of several sizes from one process to another.
func pipeSubject(p *programs) (*subject, error) {
	s := &subject{
		Title:  "Messages through a pipe",
		Unit:   "M/s",
		Method: "One process sends messages to another for 100 ms, one by one, or 64 at a time (SendAll, RecvUpTo). C's ring is the fastest that we know: each side keeps its own index and the one of the other that it saw last, and looks for the other in a loop, or, in another row, sleeps on a futex as soon as it must wait. It does not survive a death. Rings have room for 1024 messages, or 128 of 64 KiB. Everything is copied in and out.",
		Rounds: 7,
	}
	add := func(c *contender) {
		c.run = millions(c.run)
		s.Contenders = append(s.Contenders, c)
	}
	for _, t := range []struct {
		size string
		n    string
		run  func(batch int) func(context.Context) ([]float64, error)
	}{
		{"8 B", "8", pipe8.run},
		{"64 B", "64", pipe64.run},
		{"1 KiB", "1024", pipe1K.run},
		{"64 KiB", "65536", pipe64K.run},
	} {
		add(&contender{Name: "Pipe, " + t.size, run: t.run(1)})
		add(p.c("C ring, "+t.size, "ring", "spin", t.n, capacityOf(t.n), flowMillis))
		add(&contender{Name: "Pipe, " + t.size + ", batches", run: t.run(flowBatch)})
		add(p.c("C ring on futexes, "+t.size, "ring", "sleep", t.n, capacityOf(t.n), flowMillis))
		add(p.c("kernel pipe, "+t.size, "stream", "pipe", t.n, flowMillis))
		add(p.c("Unix socket, "+t.size, "stream", "unix", t.n, flowMillis))
		s.Targets = append(s.Targets, atLeast("Pipe, "+t.size, 0.5, "C ring, "+t.size))
	}
	add(p.c("POSIX mqueue, 64 B", "stream", "mqueue", "64", flowMillis))
	add(p.py("CPython Pipe, 8 B", "flow.py", "Pipe", "8", flowMillis))
	add(p.py("CPython Pipe, 64 B", "flow.py", "Pipe", "64", flowMillis))
	return s, nil
}
