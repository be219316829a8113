package proc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// workerProgram is what a worker runs.
const workerProgram = "multiproc: worker of a pool"

// A workerOrder is what a worker is told at its start.
type workerOrder struct {
	Index        int
	Workers      int // how many share the processors
	Shared, Args *File
	Init, Exit   string
	MaxTasks     int
	MaxResident  int64
	Limits       Limits
	Pin          bool
}

var _ = Register(workerProgram, work)

// encodeOrder encodes the order by itself: Register's own encoding is for Start.
func encodeOrder(o workerOrder) (*wire.Message, error) {
	return wire.Encode(reflect.ValueOf(&o).Elem())
}

// place is this process's place in a pool, for WorkerIndex.
var place atomic.Pointer[workerOrder]

// WorkerIndex returns the index of this process in its pool, from 0. A worker
// that takes another's place has its index. It reports false in a process that
// is no worker.
func WorkerIndex() (index int, ok bool) {
	o := place.Load()
	if o == nil {
		return 0, false
	}
	return o.Index, true
}

// depth returns in how many pools this process is, those of its ancestors included.
func depth() (n int) {
	if s := self.Load(); s != nil {
		n = s.depth
	}
	if place.Load() != nil {
		n++
	}
	return n
}

// A runner runs what a worker is given: it is the worker as the worker itself sees it.
type runner struct {
	order   workerOrder
	life    context.Context // of this process
	last    context.Context // of its last function: the parent ends it, and no signal from elsewhere
	endLast context.CancelCauseFunc
	conn    *wire.Conn
	place   *chunk.Worker
	fetched chan fetched               // what was asked for
	shared  map[uint64]*sharedArgument // arguments of jobs that this worker knows
	recent  []uint64                   // these jobs, the oldest first
	arg     wire.Message               // of the item in hand
	buf     []byte
	tasks   int
	checked time.Time // when memory was looked at

	asked  atomic.Uint64   // the item that was asked to end, see nameOf; 0: none
	mu     sync.Mutex      // guards the change of what follows
	ctx    context.Context // of the item in hand
	cancel context.CancelCauseFunc
}

// A fetched is the answer to a question for an argument: the argument, or why
// there is none.
type fetched struct {
	message *wire.Message
	err     error
}

// nameOf returns the name of an item, which is not 0: no two that a worker has one
// after another have the same.
func nameOf(slot int, tag uint32, item int) uint64 {
	return uint64(tag)<<32 | uint64(slot)<<16 | uint64(item)<<1 | 1
}

// work is a worker's life.
func work(ctx context.Context, o workerOrder) (None, error) {
	place.Store(&o)
	nameProcess("worker " + strconv.Itoa(o.Index))
	if err := o.Limits.apply(); err != nil {
		return None{}, fmt.Errorf("set the limits of a worker: %w", err)
	}
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/max(o.Workers, 1)))
	if o.Pin {
		if err := pin(o.Index); err != nil {
			return None{}, fmt.Errorf("bind a worker to a processor: %w", err)
		}
	}
	board, err := chunk.Open(o.Shared.File, o.Args.File)
	if err != nil {
		return None{}, err
	}
	r := &runner{
		order: o, life: ctx, conn: control.Load(), place: board.Worker(o.Index),
		fetched: make(chan fetched, 1), shared: make(map[uint64]*sharedArgument),
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.last, r.endLast = context.WithCancelCause(context.Background())
	handle := r.handle
	orders.Store(&handle)
	defer orders.Store(nil)
	if ctx.Err() != nil {
		return None{}, nil // the end may have come before handle could hear of it
	}
	began := chunk.Now()
	init, err := r.bound(r.life, o.Init, initJob)
	if err != nil {
		return None{}, err
	}
	exit, err := r.bound(r.last, o.Exit, exitJob) // now: a parent that terminates this process sends no more
	if err != nil {
		return None{}, err
	}
	if err := init(); err != nil {
		return None{}, err
	}
	r.place.CountInit(chunk.Now() - began)
	if err := wire.Send(r.conn, frameReady, nil); err != nil {
		return None{}, err
	}
	for leave := false; !leave && ctx.Err() == nil; {
		if c, ok := r.place.Claim(); ok {
			leave = r.do(ctx, c)
		} else {
			leave = r.place.Rest(ctx)
		}
	}
	began = chunk.Now()
	defer func() { r.place.CountExit(chunk.Now() - began) }()
	return None{}, exit()
}

// handle takes a frame of the parent, in the goroutine that reads the socket.
func (r *runner) handle(kind byte, m *wire.Message) {
	switch kind {
	case frameFetched:
		r.fetched <- fetched{message: &wire.Message{Data: m.Data, Files: m.Files}}
		m.Files = nil // taken over
	case frameWithdrawn:
		r.fetched <- fetched{err: withdrawn(m)}
	case frameNone:
		r.endLast(context.Cause(r.life))
	case frameCancel:
		var o cancelOrder
		if wire.Decode(m, reflect.ValueOf(&o).Elem()) != nil {
			return
		}
		why := ErrTaskCancelled
		if o.Timeout {
			why = ErrTaskTimeout
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked.Store(nameOf(o.Slot, o.Tag, o.Item)) // before the look: begin has the items behind it another context
		if r.place.Holds(o.Slot, o.Tag, o.Item) {    // else it has ended
			r.cancel(why)
		}
	}
}

// fetch asks the parent for an argument. There is none if this process is to end:
// the parent may send no more.
func (r *runner) fetch(o fetchOrder) (*wire.Message, error) {
	if r.life.Err() != nil {
		return nil, context.Cause(r.life) // and what was asked for before is not taken for the answer
	}
	m, err := wire.Encode(reflect.ValueOf(o))
	if err == nil {
		err = wire.Send(r.conn, frameFetch, m)
	}
	if err != nil {
		return nil, err
	}
	select {
	case f := <-r.fetched:
		return f.message, f.err
	case <-r.life.Done():
		return nil, context.Cause(r.life)
	}
}

// withdrawn returns why the parent sends no argument.
func withdrawn(m *wire.Message) error {
	if len(m.Data) == 0 {
		return ErrTaskCancelled
	}
	return errors.New(string(m.Data))
}

// bound fetches the argument of the initialiser or its counterpart, and returns
// what runs it in a context.
func (r *runner) bound(ctx context.Context, name string, job uint64) (run func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	fn := programs[name]
	if fn == nil {
		return nil, fmt.Errorf("run %q: %w", name, errNoFunction)
	}
	m, err := r.fetch(fetchOrder{Job: job, Item: sharedItem})
	if err != nil {
		return nil, err
	}
	return func() error {
		result, err := fn.run(ctx, m)
		result.Close()
		return err
	}, nil
}

// do runs the items of a chunk. It reports whether the worker is to leave.
func (r *runner) do(ctx context.Context, c *chunk.Claim) (leave bool) {
	fn, args := tasks[c.Func], c.Args
	for {
		kind, data, rest, err := chunk.Next(args)
		if err != nil {
			fmt.Fprintln(os.Stderr, "proc: arguments of a chunk:", err)
			os.Exit(exitError)
		}
		args = rest
		r.begin(ctx, c)
		probe.At(probe.Item115)
		result, failed := r.call(fn, c, kind, data)
		r.write(c, result, failed)
		if more, leave := r.commit(c, ctx.Err() != nil); !more {
			return leave
		}
	}
}

// commit commits the item in hand. It does not return if the parent's verdict
// was faster: this process is about to be killed.
func (r *runner) commit(c *chunk.Claim, last bool) (more, leave bool) {
	r.tasks++
	leave = last || r.order.MaxTasks > 0 && r.tasks >= r.order.MaxTasks || r.tooLarge()
	more, condemned := c.Commit(leave)
	if condemned {
		select {}
	}
	return more, leave
}

// begin is called when the next item of c is in hand. A context that may have been
// cancelled for one before is not for it.
func (r *runner) begin(ctx context.Context, c *chunk.Claim) {
	if r.asked.Load() == 0 {
		return // who asks from now on finds this item in hand
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slot, tag := c.ID()
	if r.asked.Load() != nameOf(slot, tag, c.Item()) {
		r.asked.Store(0)
		r.cancel(nil)
		r.ctx, r.cancel = context.WithCancelCause(ctx)
	}
}

// call runs the function for one item, and describes its error: its methods may
// be wrong, too. If anything panics, or ends its goroutine, the outcome is written
// here, and the process ends.
func (r *runner) call(fn *function, c *chunk.Claim, kind chunk.Kind, data []byte) (result encoded, failed *failure) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			v = errGoexit
		}
		f := failureOf(v)
		f.Panic, f.Stack = true, string(debug.Stack())
		fmt.Fprintf(os.Stderr, "panic: %s\n\n%s", f.Text, f.Stack)
		r.writeFailure(c, f)
		r.commit(c, true)
		os.Exit(exitPanic)
	}()
	var err error
	switch {
	case fn == nil:
		err = errNoFunction
	case c.Flags&chunk.Shared != 0:
		result, err = r.part(fn, c, data)
	default:
		result, err = r.one(fn, c, kind, data)
	}
	if err != nil {
		f := failureOf(err)
		failed = &f
	}
	returned = true
	return result, failed
}

// one runs the function with an argument of its own.
func (r *runner) one(fn *function, c *chunk.Claim, kind chunk.Kind, data []byte) (encoded, error) {
	if kind != chunk.Elsewhere {
		r.arg.Data = data
		return fn.task(r.ctx, &r.arg, r.buf[:0])
	}
	m, err := r.fetch(fetchOrder{Job: c.Job, Item: int(c.First) + c.Item()})
	if err != nil {
		return encoded{}, err
	}
	defer m.Close()
	return fn.task(r.ctx, m, r.buf[:0])
}

// mostShared is how many jobs' arguments a worker keeps.
const mostShared = 8

// part runs the function with the job's argument and a range.
func (r *runner) part(fn *function, c *chunk.Claim, data []byte) (encoded, error) {
	shared, ok := r.shared[c.Job]
	if !ok {
		m, err := r.fetch(fetchOrder{Job: c.Job, Item: sharedItem})
		if err != nil {
			return encoded{}, err
		}
		shared, err = fn.open(m)
		m.Close()
		if err != nil {
			return encoded{}, err
		}
		if len(r.recent) == mostShared {
			r.shared[r.recent[0]].close()
			delete(r.shared, r.recent[0])
			r.recent = r.recent[1:]
		}
		r.shared[c.Job] = shared
		r.recent = append(r.recent, c.Job)
	}
	low, high := int(binary.LittleEndian.Uint64(data)), int(binary.LittleEndian.Uint64(data[8:]))
	return fn.part(r.ctx, shared, low, high, r.buf[:0])
}

// checkPeriod is how often a worker looks at the memory that it takes.
const checkPeriod = 10 * time.Millisecond

// tooLarge reports whether this process should be replaced.
func (r *runner) tooLarge() bool {
	if r.order.MaxResident <= 0 || time.Since(r.checked) < checkPeriod {
		return false
	}
	r.checked = time.Now()
	resident, err := residentSize()
	return err == nil && resident > r.order.MaxResident
}
