package main

import (
	"context"
	"errors"
	"io"
	"runtime"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	largeMessage  = 64 << 10
	bytesPipeRoom = 8 << 20
)

type bytesJob struct {
	Pipe *shm.BytePipe
	Flow *shm.Value[flow]
}

var (
	sendBytesTask = proc.RegisterTask("send bytes", func(ctx context.Context, job bytesJob) error {
		f, me := job.Flow.Ptr(), &job.Flow.Ptr().of[0]
		f.begin(2)
		for me.at = now(); !f.stop.Load(); me.messages++ {
			if err := job.Pipe.SendFunc(ctx, largeMessage, func(m []byte) error { clear(m); return nil }); err != nil {
				return err
			}
		}
		return job.Pipe.Close()
	})
	recvBytesTask = proc.RegisterTask("recv bytes", func(ctx context.Context, job bytesJob) error {
		f, me := job.Flow.Ptr(), &job.Flow.Ptr().of[1]
		f.begin(2)
		sum, n := uint64(0), int64(0)
		for ; ; n++ {
			err := job.Pipe.RecvFunc(ctx, func(m []byte) error {
				for i := 0; i < len(m); i += 64 {
					sum += uint64(m[i])
				}
				return nil
			})
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		runtime.KeepAlive(sum)
		me.at, me.messages = now(), n
		return nil
	})
)

// bytesInPlace measures a pipe for bytes.
func bytesInPlace(ctx context.Context) (_ []float64, err error) {
	receiver, sender, err := shm.NewBytePipe(&shm.PipeOptions{OneWay: true, Bytes: bytesPipeRoom})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	return runFlow(ctx, 1, func(shared *shm.Value[flow]) ([]*proc.Process, error) {
		s, err := sendBytesTask.Start(ctx, bytesJob{sender, shared}, nil)
		if err := errors.Join(err, sender.Close()); err != nil { // the child has it
			return nil, err
		}
		r, err := recvBytesTask.Start(ctx, bytesJob{receiver, shared}, nil)
		if err != nil {
			return nil, err
		}
		return []*proc.Process{s.Process, r.Process}, nil
	}, func() error { return nil })
}

// inPlaceSubject: large messages that are not copied.
func inPlaceSubject(p *programs) (*subject, error) {
	s := &subject{
		Title:  "Messages of 64 KiB in place",
		Unit:   "GB/s",
		Method: "One process fills messages with zeros in shared memory, one by one for 100 ms, and another one reads a word of each cache line there. Nothing is copied: PutFunc and GetFunc, SendFunc and RecvFunc; C's ring does the same. There is room for 128 messages. \"Copied\": Queue's Put and Get, and C's ring, which copy in and out.",
		Rounds: 7,
	}
	ours := func(name string, run func(context.Context) ([]float64, error)) {
		s.Contenders = append(s.Contenders, &contender{Name: name, run: scaled(run, largeMessage/1e9)})
	}
	c := func(name, wait string) {
		c := p.c(name, "ring", wait, "65536", capacityOf("65536"), flowMillis)
		c.run = scaled(c.run, largeMessage/1e9)
		s.Contenders = append(s.Contenders, c)
	}
	ours("Queue", queue64K.run(1, inPlace))
	ours("Pipe", pipe64K.run(inPlace))
	ours("BytePipe", bytesInPlace)
	c("C ring", "inplace")
	ours("Pipe, copied", pipe64K.run(1))
	c("C ring, copied", "spin")
	for _, name := range []string{"Queue", "Pipe", "BytePipe"} {
		s.Targets = append(s.Targets, atLeast(name, 0.7, "C ring"))
	}
	return s, nil
}
