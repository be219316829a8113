package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	tripTime  = 100 * time.Millisecond
	tripPause = 200 * time.Microsecond
)

// A tripJob is one side of a pair of processes that send a word to and fro, by a
// pipe, by two queues, or else by bare futexes.
type tripJob struct {
	Pipe      *shm.Pipe[int64]
	Out, In   *shm.Queue[int64]
	Bare      *shm.Value[[2]bareWay]
	Me        int  // 0 or 1: sends on this one of the bare ways
	WithPause bool // each side waits before it sends, so that the other one sleeps
}

// A bareWay is what a trip costs any program in Go: one word, one futex, no
// death, no end, no context.
type bareWay struct {
	sent atomic.Uint32
	_    [4]byte
	word int64
	_    [48]byte
}

func (w *bareWay) send(v int64) {
	w.word = v
	w.sent.Store(1)
	futex.Wake(&w.sent, 1)
}

func (w *bareWay) recv() (int64, error) {
	for w.sent.Load() == 0 {
		if err := futex.Wait(&w.sent, 0, 0); err != nil {
			return 0, err
		}
	}
	w.sent.Store(0)
	if w.word == bareEnd {
		return 0, io.EOF
	}
	return w.word, nil
}

const bareEnd = -1

func (j tripJob) send(ctx context.Context, v int64) error {
	if j.Pipe != nil {
		return j.Pipe.Send(ctx, v)
	}
	if j.Bare != nil {
		j.Bare.Ptr()[j.Me].send(v)
		return nil
	}
	return j.Out.Put(ctx, v)
}

func (j tripJob) recv(ctx context.Context) (int64, error) {
	if j.Pipe != nil {
		return j.Pipe.Recv(ctx)
	}
	if j.Bare != nil {
		return j.Bare.Ptr()[1-j.Me].recv()
	}
	return j.In.Get(ctx)
}

// end lets the other side go.
func (j tripJob) end() error {
	if j.Pipe != nil {
		return j.Pipe.Close()
	}
	if j.Bare != nil {
		return j.send(context.Background(), bareEnd)
	}
	return j.Out.Close()
}

// pause sleeps as C does. The scheduler of Go does not know of it: what it takes
// to wake a sleeper in time.Sleep is not to be measured here.
func pause() {
	t := unix.NsecToTimespec(int64(tripPause))
	_ = unix.Nanosleep(&t, nil) // a signal may end it early
}

var (
	// It returns the nanoseconds of the trips: their mean, or, of those with
	// pauses, each. A word is then the moment of its sending, less the time that
	// the way there took, when it is on its way back.
	askTask = proc.Register("ask", func(ctx context.Context, job tripJob) (times []float64, err error) {
		n, begin := 0, now()
		for ; now()-begin < int64(tripTime); n++ {
			if job.WithPause {
				pause()
			}
			if err := job.send(ctx, now()); err != nil {
				return nil, err
			}
			word, err := job.recv(ctx)
			if err != nil {
				return nil, err
			}
			if job.WithPause {
				times = append(times, float64(now()-word))
			}
		}
		if !job.WithPause {
			times = []float64{float64(now()-begin) / float64(n)}
		}
		return times, job.end()
	})
	answerTask = proc.RegisterTask("answer", func(ctx context.Context, job tripJob) error {
		for {
			word, err := job.recv(ctx)
			if errors.Is(err, io.EOF) || errors.Is(err, shm.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			if job.WithPause {
				took := now() - word
				pause()
				word = now() - took
			}
			if err := job.send(ctx, word); err != nil {
				return err
			}
		}
	})
)

// pipeTrips returns the nanoseconds of trips by a pipe.
func pipeTrips(withPause bool) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) (_ []float64, err error) {
		a, b, err := shm.NewPipe[int64](nil)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.Close(), b.Close()) }()
		return trips(ctx, tripJob{Pipe: a, WithPause: withPause}, tripJob{Pipe: b, WithPause: withPause})
	}
}

// queueTrips returns the nanoseconds of trips by one queue there and one back.
func queueTrips(withPause bool) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) (_ []float64, err error) {
		var queues [2]*shm.Queue[int64]
		for i := range queues {
			if queues[i], err = shm.NewQueue[int64](1024, nil); err != nil {
				return nil, err
			}
			defer func() { _ = queues[i].Detach() }() // open until here: it cannot fail
		}
		return trips(ctx,
			tripJob{Out: queues[0], In: queues[1], WithPause: withPause},
			tripJob{Out: queues[1], In: queues[0], WithPause: withPause})
	}
}

// bareTrips returns the nanoseconds of trips by bare futexes, with pauses.
func bareTrips(ctx context.Context) ([]float64, error) {
	words, err := shm.NewValue([2]bareWay{}, &shm.Options{NoLock: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = words.Close() }() // open until here: it cannot fail
	return trips(ctx, tripJob{Bare: words, WithPause: true}, tripJob{Bare: words, Me: 1, WithPause: true})
}

func trips(ctx context.Context, ours, theirs tripJob) ([]float64, error) {
	other, err := answerTask.Start(ctx, theirs, nil)
	if err != nil {
		return nil, err
	}
	asks, err := askTask.Start(ctx, ours, nil)
	if err != nil {
		return nil, err
	}
	times, err := asks.Result(ctx)
	if err != nil {
		return nil, err
	}
	return times, other.Join(ctx)
}

// tripSubject: a word to another process and back.
func tripSubject(p *programs) (*subject, error) {
	const (
		milliseconds = tripTime / time.Millisecond
		pipe, queue  = "Pipe, awake", "Queue, awake"
		sleepingPipe = "Pipe, asleep"
		sleepingQ    = "Queue, asleep"
		adaptive     = "C adaptive, awake"
		asleep       = "C futex, asleep"
		bare         = "Go futex, asleep"
	)
	s := &subject{
		Title:  "A word to another process and back",
		Unit:   "µs",
		Method: "Two processes send a word of 8 bytes to and fro for 100 ms. \"Awake\": each answers at once; C looks for 20 µs and then sleeps on a futex; the figure is the mean. \"Asleep\": each waits 200 µs before it sends, by nanosleep in both languages, so that the other one is asleep; the figure is the median of the time from sending to arrival, there and back. C sleeps on a futex at once. \"Go futex\" does what C does, in Go and without our library. On one processor a wake takes a few microseconds, on two several times as long; where the kernel puts the two, it decides anew in each round, and for C it is mostly one. Ours adds a short look before each sleep, the fence that a sleeper pays for in place of all commits, and the watch on context and peer. \"C futex, at once\" answers at once and sleeps at once.",
		Rounds: 7,
	}
	add := func(c *contender) {
		c.run = scaled(c.run, 1e-3)
		s.Contenders = append(s.Contenders, c)
	}
	add(&contender{Name: pipe, run: pipeTrips(false)})
	add(p.c(adaptive, "trip", "adaptive", fmt.Sprint(int(milliseconds))))
	add(&contender{Name: queue, run: queueTrips(false)})
	add(&contender{Name: sleepingPipe, run: pipeTrips(true)})
	add(p.c(asleep, "trip", "asleep", fmt.Sprint(int(milliseconds))))
	add(&contender{Name: bare, run: bareTrips})
	add(&contender{Name: sleepingQ, run: queueTrips(true)})
	add(p.c("C futex, at once", "trip", "futex", fmt.Sprint(int(milliseconds))))
	for _, kind := range []string{"Pipe", "SimpleQueue", "Queue"} {
		add(p.py("CPython "+kind, "trip.py", kind, fmt.Sprint(int(milliseconds))))
	}
	s.Targets = []target{
		atMost(pipe, 3, adaptive),
		atMost(queue, 3, adaptive),
		atMost(sleepingPipe, 1.1, asleep),
		atMost(sleepingQ, 1.1, asleep),
	}
	return s, nil
}
