package proc

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
)

// PoolOptions tune NewPool. Nil means the defaults.
type PoolOptions struct {
	// Workers is how many processes work, at most 500. Each of them has its share
	// of the processors as its GOMAXPROCS, at least one.
	//
	// The default is runtime.GOMAXPROCS(0).
	Workers int

	// Init runs in each worker before its first task, and Exit after its last
	// one, unless it dies or a task of it panics: see [Func.With]. If Init fails, the
	// pool does, unless that worker was asked to end. An error of Exit is what Close
	// returns. When the pool lets a worker go, an Exit that is not over after Grace is asked
	// to end, and after Grace once more the worker is killed. After Terminate Exit runs with a
	// context that has ended; after SIGTERM from elsewhere, with one that has not.
	//
	// State that tasks of one worker share needs nothing from this package: a
	// package-level variable is it, and Init sets it.
	Init, Exit Bound

	// InitTimeout is how long a worker may take until it is ready: its start, and
	// Init. If one takes longer, the pool fails, with an [*InitError] that matches
	// ErrTaskTimeout; the context of Init ends, and after Grace the worker is killed.
	//
	// The default is no limit.
	InitTimeout time.Duration

	// Retries is how often a task whose worker died is begun again. A task
	// that fails, panics or runs into its time limit is not.
	Retries int

	// TaskTimeout is how long one task may take. Then its context is cancelled, with
	// ErrTaskTimeout as the cause; if it has not returned after Grace, its worker is
	// killed and replaced. The context has no deadline. A part of [For] is a task.
	//
	// The default is no limit.
	TaskTimeout time.Duration

	// Grace is how long a task that is cancelled, and a worker that is
	// terminated, may take to end before it is killed.
	//
	// The default is 5 seconds.
	Grace time.Duration

	// MaxTasks is after how many tasks a worker is replaced by a new one.
	//
	// The default is never.
	MaxTasks int

	// MaxResident is above how many bytes of resident memory a worker is replaced
	// after the task that it has in hand.
	//
	// The default is never.
	MaxResident int64

	// IdleTimeout is after how long without work the pool keeps MinWorkers only.
	// New work brings the others back.
	//
	// The default is never.
	IdleTimeout time.Duration

	// MinWorkers: see IdleTimeout. The default is 0.
	MinWorkers int

	// Limits are those of each worker.
	Limits Limits

	// Pin binds each worker to one processor, in turn.
	Pin bool

	// Depth is how deep pools may be nested: a task may use a pool of its own. Processes
	// of Start in between count for nothing.
	//
	// The default is 4.
	Depth int

	// Logger is told, at level debug, of the start and the end of workers, and at
	// level warn of those that die, and of those that the system refuses. Its handler
	// must not call Close or Terminate, which wait for it.
	//
	// The default is none.
	Logger *slog.Logger

	// Stderr gets what workers write to their standard error, one write at a time. If
	// it does not take it, workers that write wait, and the death of one is noticed up
	// to a second later; nothing else waits.
	//
	// The default is os.Stderr.
	Stderr io.Writer
}

// check returns an error that names an option that must not be negative, and is.
func (o *PoolOptions) check() error {
	return cmp.Or(
		notNegative("InitTimeout", o.InitTimeout), notNegative("Retries", o.Retries), notNegative("TaskTimeout", o.TaskTimeout), notNegative("Grace", o.Grace),
		notNegative("MaxTasks", o.MaxTasks), notNegative("MaxResident", o.MaxResident),
		notNegative("IdleTimeout", o.IdleTimeout), notNegative("MinWorkers", o.MinWorkers), notNegative("Depth", o.Depth),
		notNegative("Limits.Memory", o.Limits.Memory), notNegative("Limits.CPU", o.Limits.CPU),
		notNegative("Limits.Files", o.Limits.Files), notNegative("Limits.Nice", o.Limits.Nice),
	)
}

func notNegative[T int | int64 | time.Duration](name string, value T) error {
	if value < 0 {
		return fmt.Errorf("%s is %v: it must not be negative", name, value)
	}
	return nil
}

const (
	defaultDepth = 4
	mostWorkers  = 500
)

// Each worker can have a chunk.
var _ [chunk.Slots - mostWorkers]struct{}

// A Pool is processes that wait for tasks: see [Func.Map], [Func.Stream],
// [Func.Submit] and [For]. Its methods, and calls that use it, may be made by
// several goroutines at once.
//
// The workers are processes like others: [Children] lists them, with their ids, and
// ps and top show them as mp:worker 0, mp:worker 1, and so on.
//
// A worker may die at any instruction. The task that it had in hand ends with a
// [*WorkerDiedError], or is begun again if Retries says so; another process
// takes the worker's place, and everything else goes on. Results of tasks that
// were finished are not lost with it, and none comes twice. When this process ends, in
// any way, its workers are killed.
//
// SIGTERM from elsewhere ends a worker as Terminate does: the context of its task
// ends, and if the task returns that error it has failed with it, as with any other;
// then the worker leaves.
type Pool struct {
	o     PoolOptions
	board *chunk.Board
	grace time.Duration

	stderr io.Writer // workers' standard error

	kicked atomic.Bool // the collector is to look at once
	attend attention
	ready  chan struct{}
	ended  chan struct{} // closed when nothing of the pool is left

	mu              sync.Mutex // guards what follows, and all jobs
	slots           [chunk.Slots]slot
	free            []int
	lastTag         uint32
	out             slotSet
	jobs            list.List // those that may have something to publish, in the order of their turns
	eager, watched  int       // of all jobs: each result is waited for; they are timed, or have stopped
	byID            map[uint64]*job
	lastJob         uint64
	workers         []*worker
	target          int  // how many workers there should be
	running         int  // goroutines that keep one
	alone           bool // the first one has a head start
	barren          int  // deaths in a row before a worker was ready
	idle            time.Time
	closing         bool  // no more calls
	busy, attentive bool  // the pool's goroutine knows that work is out; it looks again in a while
	failed          error // what every call gets
	exit            error // of the first Exit that has failed

	bounds  [2]*parcel // arguments of Init and Exit
	swept   time.Time
	life    context.Context // ends when the pool has failed
	kill    context.CancelFunc
	slowest []slowTask
	final   []WorkerStats // when the pool has ended
}

// NewPool starts a pool, and returns when its first worker is ready. The others start
// when there is more to do than that one can take, or a moment later. When ctx
// ends, the pool is terminated: ctx is its life.
//
// It fails with an [*InitError] if no worker gets ready, with ErrNoMain if main
// did not call Main first, and with ErrTooDeep. If ctx ends before a worker is ready
// it returns at once; the workers have Grace to end, as after Terminate. The caller
// must end the pool by Close or Terminate: until then it has its workers, four
// goroutines for each of them, and a thread while it has work.
func NewPool(ctx context.Context, o *PoolOptions) (*Pool, error) {
	if o == nil {
		o = &PoolOptions{}
	}
	p := &Pool{o: *o, grace: o.Grace, target: o.Workers, byID: make(map[uint64]*job), ready: make(chan struct{}), ended: make(chan struct{})}
	if err := p.setUp(ctx); err != nil {
		return nil, fmt.Errorf("proc: new pool: %w", err)
	}
	select {
	case <-p.ready:
	case <-p.ended:
		return nil, p.failure()
	case <-ctx.Done(): // Init may not look at its context
		p.terminate(lifeEnded(ctx))
		return nil, p.failure()
	}
	return p, nil
}

// lifeEnded returns why a pool was terminated whose context has ended.
func lifeEnded(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrPoolTerminated, context.Cause(ctx))
}

func (p *Pool) setUp(ctx context.Context) (err error) {
	switch {
	case !mainCalled.Load():
		return ErrNoMain
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.target < 0 || p.target > mostWorkers:
		return fmt.Errorf("%d workers: from 1 to %d are possible", p.target, mostWorkers)
	}
	if err := p.o.check(); err != nil {
		return err
	}
	if p.o.Depth == 0 {
		p.o.Depth = defaultDepth
	}
	if d := depth(); d >= p.o.Depth {
		return fmt.Errorf("%w: this process is at depth %d, and the limit is %d", ErrTooDeep, d, p.o.Depth)
	}
	if p.target == 0 {
		p.target = runtime.GOMAXPROCS(0)
	}
	if p.grace <= 0 {
		p.grace = defaultGrace
	}
	defer func() {
		if err != nil {
			for _, b := range p.bounds {
				b.close()
			}
		}
	}()
	for i, b := range []Bound{p.o.Init, p.o.Exit} {
		if p.bounds[i], err = b.parcel(); err != nil {
			return fmt.Errorf("encode the argument of %s: %w", b.name, err)
		}
	}
	if p.board, err = chunk.New("pool"); err != nil {
		return err
	}
	p.stderr = &oneByOne{to: p.o.Stderr}
	if p.o.Stderr == nil {
		p.stderr = &oneByOne{to: os.Stderr}
	}
	p.life, p.kill = context.WithCancel(context.Background())
	p.idle = time.Now()
	for n := range p.slots {
		p.free = append(p.free, chunk.Slots-1-n) // the first ones are used first, and stay in the cache
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alone = true
	p.grow()
	time.AfterFunc(headStart, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.endHeadStart()
	})
	stop := context.AfterFunc(ctx, func() { p.terminate(lifeEnded(ctx)) })
	go p.run(stop)
	return nil
}

// Close waits until all calls have their results, lets the workers go, and waits for
// their end: for ever, if a task without a time limit does not end. Terminate,
// called by another goroutine, ends that wait. Calls that come later fail with
// ErrPoolClosed. After Terminate, and a second time, it only waits. Its error is an
// [*InitError] if the pool has failed for that, one that matches ErrPoolCorrupt if a
// worker has damaged the pool's memory, that of the first Exit that has failed, and
// nil after Terminate. It must not be called in a loop over Stream or MapUnordered,
// or in Progress: it would wait for itself.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closing = true
	if p.failed == nil && len(p.byID) == 0 {
		p.dismissAll()
		p.board.Kick(&p.kicked) // there may be no worker whose end would be noticed
	}
	p.mu.Unlock()
	<-p.ended
	var init *InitError
	if err := p.failure(); errors.As(err, &init) || errors.Is(err, ErrPoolCorrupt) {
		return err
	}
	if errors.Is(p.failed, ErrPoolTerminated) {
		return nil
	}
	return p.exit
}

// Terminate ends the pool: calls that have not got all their results get
// ErrPoolTerminated at once, tasks are cancelled, and workers that have not ended
// after the grace period are killed. It waits for their end. When Close has
// returned it does nothing, so it may be deferred.
func (p *Pool) Terminate() error {
	p.terminate(ErrPoolTerminated)
	return p.Close()
}

func (p *Pool) terminate(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail(why)
}

// fail ends the pool before its time.
func (p *Pool) fail(why error) {
	if p.failed == nil && !errors.Is(why, ErrPoolCorrupt) {
		p.gather(nil)
	}
	if p.failed != nil { // also if what it gathered made no sense
		return
	}
	p.failed, p.closing = why, true
	p.kill()
	for _, j := range p.byID {
		j.halt(why)
	}
	for _, w := range p.workers {
		w.terminate()
	}
	p.board.Kick(&p.kicked)
}

func (p *Pool) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// String describes the pool.
func (p *Pool) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := "open"
	switch {
	case p.failed != nil:
		state = "ended"
	case p.closing:
		state = "closed"
	}
	return fmt.Sprintf("pool of %d workers (%s, %d calls)", p.target, state, len(p.byID))
}
