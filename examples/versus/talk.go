package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// talk measures what a message and what a change of shared memory cost.
func talk(ctx context.Context, size sizes) (*measure.Table, error) {
	t := measure.NewTable("3. Communication: the time of one", "kind", "message", "message and answer", "update under a lock", "atomic update")
	for _, kind := range []string{goroutine, thread, process} {
		var figures [4]time.Duration
		for i, one := range []func() (time.Duration, error){
			func() (time.Duration, error) { return stream(ctx, kind, size.messages) },
			func() (time.Duration, error) { return trip(ctx, kind, size.trips) },
			func() (time.Duration, error) { return lockedUpdate(kind, size.updates) },
			func() (time.Duration, error) { return atomicUpdate(kind, size.updates) },
		} {
			var err error
			if figures[i], err = measure.Median(size.rounds, one); err != nil {
				return nil, err
			}
		}
		t.Add(kind, figures[0], figures[1], figures[2], figures[3])
	}
	return t, nil
}

const ahead = 1024 // by how many messages the sender may be ahead

// stream sends n messages one way, and has the last one acknowledged.
func stream(ctx context.Context, kind string, n int) (each time.Duration, err error) {
	if kind == process {
		pipe, receiver, err := startPeer(ctx, takeAll, n)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for i := range n {
			if err := pipe.Send(ctx, int64(i)); err != nil {
				return 0, err
			}
		}
		if _, err := pipe.Recv(ctx); err != nil {
			return 0, err
		}
		each = time.Since(begin) / time.Duration(n)
		return each, end(ctx, pipe, receiver)
	}
	messages, acknowledged := make(chan int64, ahead), make(chan int64)
	begin := time.Now()
	together(2, kind == thread, func(worker int) {
		if worker == 0 {
			for i := range n {
				messages <- int64(i)
			}
			<-acknowledged
			return
		}
		for range n {
			<-messages
		}
		acknowledged <- 0
	})
	return time.Since(begin) / time.Duration(n), nil
}

// trip sends n messages there and back, one after another.
func trip(ctx context.Context, kind string, n int) (each time.Duration, err error) {
	if kind == process {
		pipe, answerer, err := startPeer(ctx, answerAll, n)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for i := range n {
			if err := pipe.Send(ctx, int64(i)); err != nil {
				return 0, err
			}
			if _, err := pipe.Recv(ctx); err != nil {
				return 0, err
			}
		}
		each = time.Since(begin) / time.Duration(n)
		return each, end(ctx, pipe, answerer)
	}
	there, back := make(chan int64), make(chan int64)
	begin := time.Now()
	together(2, kind == thread, func(worker int) {
		for i := range n {
			if worker == 0 {
				there <- int64(i)
				<-back
			} else {
				back <- <-there
			}
		}
	})
	return time.Since(begin) / time.Duration(n), nil
}

// A Peer is what the process at the other end is given.
type Peer struct {
	Pipe *shm.Pipe[int64]
	N    int // how many messages come
}

var takeAll = proc.RegisterTask("take all", func(ctx context.Context, p Peer) error {
	if err := p.Pipe.Send(ctx, 0); err != nil { // it is there
		return err
	}
	for range p.N {
		if _, err := p.Pipe.Recv(ctx); err != nil {
			return err
		}
	}
	return p.Pipe.Send(ctx, 0)
})

var answerAll = proc.RegisterTask("answer all", func(ctx context.Context, p Peer) error {
	if err := p.Pipe.Send(ctx, 0); err != nil { // it is there
		return err
	}
	for range p.N {
		v, err := p.Pipe.Recv(ctx)
		if err != nil {
			return err
		}
		if err := p.Pipe.Send(ctx, v); err != nil {
			return err
		}
	}
	return nil
})

// startPeer starts a process with the other end of a pipe, and waits until it is there.
func startPeer(ctx context.Context, peer *proc.Func[Peer, proc.None], n int) (*shm.Pipe[int64], *proc.Process, error) {
	ours, theirs, err := shm.NewPipe[int64](&shm.PipeOptions{Capacity: ahead})
	if err != nil {
		return nil, nil, err
	}
	p, err := peer.Start(ctx, Peer{theirs, n}, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := theirs.Close(); err != nil {
		return nil, nil, err
	}
	_, err = ours.Recv(ctx)
	return ours, p.Process, err
}

func end(ctx context.Context, pipe *shm.Pipe[int64], peer *proc.Process) error {
	if err := peer.Join(ctx); err != nil {
		return err
	}
	return pipe.Close()
}

// lockedUpdate adds to a number under a lock that nobody else wants.
func lockedUpdate(kind string, n int) (each time.Duration, err error) {
	if kind == process {
		shared, err := shm.NewArray[int64](1, nil)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for range n {
			shared.Lock()
			shared.View()[0]++
			shared.Unlock()
		}
		return time.Since(begin) / time.Duration(n), shared.Close()
	}
	var lock sync.Mutex
	numbers := make([]int64, 1)
	begin := time.Now()
	together(1, kind == thread, func(int) {
		for range n {
			lock.Lock()
			numbers[0]++
			lock.Unlock()
		}
	})
	return time.Since(begin) / time.Duration(n), nil
}

// atomicUpdate adds to a number in one step of the processor.
func atomicUpdate(kind string, n int) (each time.Duration, err error) {
	if kind == process {
		shared, err := shm.NewArray[int64](1, &shm.Options{NoLock: true})
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for range n {
			shm.Add(shared, 0, 1)
		}
		return time.Since(begin) / time.Duration(n), shared.Close()
	}
	var number atomic.Int64
	begin := time.Now()
	together(1, kind == thread, func(int) {
		for range n {
			number.Add(1)
		}
	})
	return time.Since(begin) / time.Duration(n), nil
}
