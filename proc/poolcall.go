package proc

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// An outcome is a result that is not the caller's yet.
type outcome[R any] struct {
	Result[R]
	closeAll func() // closes the shared objects in the value; nil: there are none
}

// drop is for an outcome that the caller does not get.
func (r outcome[R]) drop() {
	if r.closeAll != nil {
		r.closeAll()
	}
}

// closers close shared objects that the caller may not get.
type closers []func()

// add adds what may be nil.
func (c *closers) add(closeAll func()) {
	if closeAll != nil {
		*c = append(*c, closeAll)
	}
}

func (c closers) close() {
	for _, closeAll := range c {
		closeAll()
	}
}

// A call is one job, with its types.
type call[A, R any] struct {
	job       *job
	encode    func(A, []byte) (encoded, error)
	decode    func(*wire.Message) (R, func(), error)
	progress  func(Progress)
	keepGoing bool
	ordered   bool   // the caller says itself what it has done with
	counts    bool   // the caller counts itself, in units of its own
	total     int    // of inputs, or of the caller's units, if it is known
	all       []A    // the inputs, if they are plain and lie in memory
	settled   []bool // which inputs have an outcome; nil if nobody asks
	count     int    // of those with an outcome
	reported  Progress
}

// begin starts j, of which the caller has set what is particular to it.
func (f *Func[A, R]) begin(ctx context.Context, p *Pool, o *MapOptions, j *job) (*call[A, R], error) {
	if o == nil {
		o = &MapOptions{}
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("proc: %s in a pool: %w", f.name, err)
	}
	j.fn, j.chunk, j.window, j.timeout, j.retries = f.function, o.Chunk, o.Window, p.o.TaskTimeout, p.o.Retries
	if o.Timeout != 0 {
		j.timeout = max(o.Timeout, 0)
	}
	if o.Retries != 0 {
		j.retries = max(o.Retries, 0)
	}
	if err := p.start(ctx, j); err != nil {
		return nil, err
	}
	return &call[A, R]{
		job: j, encode: f.encode, decode: f.decode, progress: o.Progress,
		keepGoing: o.KeepGoing, total: unknownTotal, reported: Progress{Done: -1},
	}, nil
}

// errEnough means that the caller wants no more.
var errEnough = fmt.Errorf("proc: the loop has ended: %w", ErrTaskCancelled)

// run feeds the job with inputs, in blocks, and calls yield for each outcome in
// this goroutine, until all have come or yield wants no more.
func (c *call[A, R]) run(in iter.Seq[A], block int, yield func(outcome[R]) bool) error {
	j := c.job
	f := &feeder[A, R]{call: c, block: block, ended: make(chan struct{})}
	defer func() {
		j.abandon()
		if c.total != unknownTotal { // they lie in memory, which the caller may change now
			<-f.ended
		}
	}()
	if c.all != nil {
		go f.feedPlain(c.all)
	} else {
		go f.feed(in)
	}
	var inbox []delivery
	for {
		clear(inbox)
		var err error
		inbox, err = j.take(context.Background(), inbox[:0]) // the end of the call's context stops the job
		f.check()
		if err != nil {
			return err
		}
		if len(inbox) == 0 {
			c.report() // it may be known only now that this was all
			return nil
		}
		items := 0
		for n, d := range inbox {
			items += d.items
			if c.settled != nil {
				for i := range d.items {
					c.settled[d.first+i] = true
				}
			}
			if !d.stored && !c.each(d, yield) {
				closeAll(inbox[n+1:])
				return errEnough
			}
		}
		if !c.ordered {
			j.done(items)
		}
		if !c.counts {
			c.count += items
		}
		c.report()
	}
}

// abandon says that the caller takes no more, which may be because it has all.
func (j *job) abandon() {
	j.stop(errEnough)
	j.pool.mu.Lock()
	defer j.pool.mu.Unlock()
	closeAll(j.inbox)
	j.inbox = nil
}

// report says how far the call has come, if that is news.
func (c *call[A, R]) report() {
	if c.progress == nil {
		return
	}
	if now := (Progress{Done: c.count, Total: c.known()}); now != c.reported {
		c.reported = now
		c.progress(now)
	}
}

// known returns how many inputs there are.
func (c *call[A, R]) known() int {
	if c.total != unknownTotal {
		return c.total
	}
	c.job.pool.mu.Lock()
	defer c.job.pool.mu.Unlock()
	return c.job.total
}

// each calls yield for each outcome of a delivery.
func (c *call[A, R]) each(d delivery, yield func(outcome[R]) bool) bool {
	defer d.close()
	var m wire.Message
	var r, none outcome[R] // one for all: each would be an allocation
	rest, sent := d.results, d.sent
	for i := range d.items {
		err := d.err
		r = none
		r.Index = d.first + i
		if err == nil {
			var kind chunk.Kind
			if kind, m.Data, rest, err = chunk.Next(rest); err == nil {
				beside := &m
				if kind.Sent() {
					if len(sent) == 0 {
						beside = nil // the worker has changed its mind while its record was copied
					} else {
						beside, sent = sent[0], sent[1:]
					}
				}
				switch {
				case beside == nil:
					err = fmt.Errorf("%w: a result that was not sent", chunk.ErrCorrupt)
				case kind.Failed():
					err = c.failure(beside, d)
				default:
					r.Value, r.closeAll, err = c.decode(beside)
				}
			}
		}
		if err != nil {
			r.Err = &TaskError{Func: c.job.fn.name, Index: r.Index, Worker: d.worker, Attempts: d.attempts, Err: err}
		}
		if !yield(r) {
			return false
		}
	}
	return true
}

// failure rebuilds the error of a task.
func (c *call[A, R]) failure(m *wire.Message, d delivery) error {
	var f failure
	if err := wire.Decode(m, reflect.ValueOf(&f).Elem()); err != nil {
		return fmt.Errorf("the error does not fit its place: %w", err)
	}
	return f.error(workerName(d.worker), d.pid)
}
