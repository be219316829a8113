package main

import (
	"context"
	"errors"
	"runtime"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

type queueJob[T message] struct {
	Queue     *shm.Queue[T]
	Flow      *shm.Value[flow]
	Me, Pairs int
	Batch     int
}

// The functions that measure queues, for each type of messages. Their loops are
// written out, here and for pipes, and not behind an interface: calls are to be
// compiled as they are in a program.
type queueFlow[T message] struct {
	put, get *proc.Func[queueJob[T], proc.None]
}

var (
	queue8   = newQueueFlow[[1]uint64]("8")
	queue64  = newQueueFlow[[8]uint64]("64")
	queue1K  = newQueueFlow[[128]uint64]("1K")
	queue64K = newQueueFlow[[8192]uint64]("64K")
)

func newQueueFlow[T message](size string) queueFlow[T] {
	return queueFlow[T]{
		proc.RegisterTask("put "+size, putFlow[T]),
		proc.RegisterTask("get "+size, getFlow[T]),
	}
}

func putFlow[T message](ctx context.Context, job queueJob[T]) (err error) {
	q, f, me := job.Queue, job.Flow.Ptr(), &job.Flow.Ptr().of[job.Me]
	f.begin(2 * job.Pairs)
	me.at = now()
	var v T
	n := uint64(0)
	switch job.Batch {
	case inPlace:
		for ; err == nil && !f.stop.Load(); n++ {
			err = q.PutFunc(ctx, func(v *T) error { fill(v, n); return nil })
		}
	case 1:
		for ; err == nil && !f.stop.Load(); n++ {
			v[0] = n
			err = q.Put(ctx, v)
		}
	default:
		batch := make([]T, job.Batch)
		for err == nil && !f.stop.Load() {
			for i := range batch {
				batch[i][0] = n
				n++
			}
			_, err = q.PutAll(ctx, batch)
		}
	}
	if err != nil {
		return err
	}
	me.messages = int64(n)
	v[0] = last
	return q.Put(ctx, v)
}

// getFlow ends with the last message of one sender. If another one has got both
// in one batch it ends with the queue.
func getFlow[T message](ctx context.Context, job queueJob[T]) (err error) {
	q, f, me := job.Queue, job.Flow.Ptr(), &job.Flow.Ptr().of[job.Pairs+job.Me]
	f.begin(2 * job.Pairs)
	n, sum, ended := int64(0), uint64(0), false
	switch job.Batch {
	case inPlace:
		for ; !ended; n++ {
			if err = q.GetFunc(ctx, func(v *T) error {
				sum += look(v)
				ended = (*v)[0] == last
				return nil
			}); err != nil {
				break
			}
		}
	case 1:
		var v T
		for ; v[0] != last; n++ {
			if v, err = q.Get(ctx); err != nil {
				break
			}
		}
		ended = err == nil
	default:
		batch := make([]T, job.Batch)
		for k := 0; !ended; {
			if k, err = q.GetUpTo(ctx, batch); err != nil {
				break
			}
			for i := range batch[:k] {
				if batch[i][0] == last {
					ended = true
					n-- // of two last ones one is counted below
				}
			}
			n += int64(k)
		}
		if ended {
			n++
		}
	}
	runtime.KeepAlive(sum)
	if ended {
		me.at = now()
		n--
	}
	me.messages = n
	if errors.Is(err, shm.ErrClosed) {
		return nil
	}
	return err
}

// run measures a queue between some senders and as many receivers.
func (t queueFlow[T]) run(pairs, batch int) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		var v T
		q, err := shm.NewQueue[T](capacity(8*len(v)), nil)
		if err != nil {
			return nil, err
		}
		defer func() { _ = q.Detach() }() // open until here: it cannot fail
		return runFlow(ctx, pairs, func(shared *shm.Value[flow]) (processes []*proc.Process, err error) {
			for i := range 2 * pairs {
				task := t.put
				if i >= pairs {
					task = t.get
				}
				p, err := task.Start(ctx, queueJob[T]{q, shared, i % pairs, pairs, batch}, nil)
				if err != nil {
					return nil, err
				}
				processes = append(processes, p.Process)
			}
			return processes, nil
		}, q.Close)
	}
}

// queueSubject: messages of several sizes through a queue.
func queueSubject(p *programs) (*subject, error) {
	s := &subject{
		Title:  "Messages through a queue",
		Unit:   "M/s",
		Method: "One process puts messages into a queue for 100 ms, and another one gets them; or two do and two. Messages are arrays of 64-bit words, put one by one, or 64 at a time (PutAll, GetUpTo); the queue has room for 1024, or 128 of 64 KiB, and so has Boost's. Everything is copied in and out. Boost's queue hangs for ever when a process is killed in the middle. CPython sends an int as the message of 8 bytes.",
		Rounds: 5,
	}
	type flow struct {
		size string
		n    string
		run  func(pairs, batch int) func(context.Context) ([]float64, error)
	}
	for _, t := range []flow{
		{"8 B", "8", queue8.run},
		{"64 B", "64", queue64.run},
		{"1 KiB", "1024", queue1K.run},
		{"64 KiB", "65536", queue64K.run},
	} {
		for _, to := range []struct {
			name  string
			n     string
			pairs int
		}{{"", "1", 1}, {", 2 to 2", "2", 2}} {
			boost := p.c("Boost message_queue, "+t.size+to.name, "boost", t.n, capacityOf(t.n), to.n, flowMillis)
			boost.run = millions(boost.run)
			single := "Queue, " + t.size + to.name
			s.Contenders = append(s.Contenders,
				&contender{Name: single, run: millions(t.run(to.pairs, 1))},
				boost,
				&contender{Name: single + ", batches", run: millions(t.run(to.pairs, flowBatch))},
			)
			if to.pairs == 1 && t.size != "64 KiB" {
				s.Targets = append(s.Targets, atLeast(single, 5, boost.Name))
			}
		}
		if t.size == "8 B" || t.size == "64 B" {
			for _, kind := range []string{"Queue", "SimpleQueue"} {
				python := p.py("CPython "+kind+", "+t.size, "flow.py", kind, t.n, flowMillis)
				python.run = millions(python.run)
				s.Contenders = append(s.Contenders, python)
				s.Targets = append(s.Targets, atLeast("Queue, "+t.size, 100, python.Name))
			}
		}
	}
	s.Targets = append(s.Targets, atLeast("Queue, 8 B, batches", 100, ""))
	return s, nil
}
