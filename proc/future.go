package proc

import (
	"context"
	"sync"
)

// A Future is the result that a submitted task will have. Its methods may be
// called by several goroutines.
type Future[R any] struct {
	job  *job // nil: there is none
	done chan struct{}
	take func() (R, error) // once: then it returns, or panics with, the same
}

// Submit has the function run once in the pool, and returns at once. ctx is the
// task's: when it ends before the task is begun, the task never is; later, the
// task's context is cancelled. All errors come from Get. Retries and time limit
// are the pool's; Map of one input has its own. Shared objects in arg are open in the
// worker until the task has returned.
//
// There is no Progress of futures: they belong to no call whose end would be known.
// A loop over [AsCompleted] counts them.
func (f *Func[A, R]) Submit(ctx context.Context, p *Pool, arg A) *Future[R] {
	e, bad := f.encode(arg, nil) // before the job begins: a method of the argument may panic
	c, err := f.begin(ctx, p, nil, &job{eager: true})
	if err != nil {
		e.message.Close()
		return failedFuture[R](err)
	}
	j := c.job
	if bad != nil {
		j.feed(span{items: 1}, nil, bad)
	} else {
		j.feedOne(e)
	}
	j.fed()
	return &Future[R]{job: j, done: j.delivered, take: sync.OnceValues(func() (value R, err error) {
		inbox, err := j.take(context.Background(), nil)
		if err != nil {
			return value, err
		}
		for _, d := range inbox {
			c.each(d, func(r outcome[R]) bool {
				value, err = r.Value, r.Err
				return true
			})
		}
		return value, err
	})}
}

func failedFuture[R any](err error) *Future[R] {
	done := make(chan struct{})
	close(done)
	return &Future[R]{done: done, take: func() (none R, _ error) { return none, err }}
}

// Done returns a channel that is closed when Get would return at once.
func (f *Future[R]) Done() <-chan struct{} { return f.done }

// Get waits for the result. The end of ctx ends the wait, and not the task. The
// error of the task is a [*TaskError]. If there is no outcome of the task, the error is
// the cause of the end of its context, ErrTaskCancelled after Cancel, or the pool's
// error. Get may be called any number of times; shared objects in the result belong
// to the caller. All calls that do not end with ctx return the same; if decoding the
// result panics, all of them panic.
func (f *Future[R]) Get(ctx context.Context) (R, error) {
	select {
	case <-f.done:
	default:
		f.job.attend(ctx)
		select {
		case <-f.done:
		case <-ctx.Done():
			var none R
			return none, context.Cause(ctx)
		}
	}
	return f.take()
}

// Cancel ends the task: see [ErrTaskCancelled]. It does nothing if it has its
// outcome.
func (f *Future[R]) Cancel() {
	if f.job != nil {
		f.job.stop(ErrTaskCancelled)
	}
}
