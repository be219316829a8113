package proc

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
)

// MapOptions tune one call. Nil means the defaults.
type MapOptions struct {
	// Chunk is how many inputs a worker gets at a time, at most 4096.
	//
	// By default they are measured, and a chunk takes about 2 ms; one input at
	// first.
	Chunk int

	// KeepGoing has Map run all inputs, whatever fails, and then return
	// TaskErrors. Otherwise the first error ends it. Stream and MapUnordered
	// always go on: their loop can end them.
	KeepGoing bool

	// Retries and Timeout are as in PoolOptions, for the tasks of this call. 0 means
	// those of the pool, -1 none.
	Retries int
	Timeout time.Duration

	// Window is how many inputs may be under way: handed to the pool, and their
	// results not yet given to the caller. One result more is in the caller's hands,
	// and one input more in those of the goroutine that reads them.
	//
	// By default as many as keep the workers busy: 8 for each of them, or four
	// chunks if that is more. Of Map, whose inputs lie in memory anyway, 65536.
	Window int

	// Progress is called when outcomes have come, by the goroutine that made the
	// call, and with Done equal to Total when all have. A call that fails ends
	// without that. It must not close the pool: Close waits for the call, which
	// waits for Progress.
	Progress func(Progress)
}

// check returns an error that names an option that is out of range.
func (o *MapOptions) check() error {
	switch {
	case o.Chunk < 0 || o.Chunk > chunk.MaxItems:
		return fmt.Errorf("chunks of %d inputs: out of range, which is from 0 to %d", o.Chunk, chunk.MaxItems)
	case o.Window < 0:
		return fmt.Errorf("a window of %d inputs: out of range, which is from 0 up", o.Window)
	case o.Retries < -1:
		return fmt.Errorf("%d retries: out of range, which is from -1 up", o.Retries)
	case o.Timeout < -1:
		return fmt.Errorf("a time limit of %v: out of range; -1 means none", o.Timeout)
	}
	return nil
}

// A Progress is how far a call has come.
type Progress struct {
	Done  int // inputs with an outcome; of For and Reduce, elements of the range
	Total int // of how many; -1 while that is not known
}

// A Result is the outcome of one input.
type Result[R any] struct {
	Index int   // of the input, from 0; -1 in the last one of a MapUnordered that has failed
	Value R     // what the function returned
	Err   error // a *TaskError, or nil; with Index -1 why the call has failed
}

// Map runs the function in the pool once for each element of in, and returns the
// results in the same order. Shared objects in an argument are open in the worker
// until that task has returned; those in a result belong to the caller. Those in
// results that the caller does not get are closed.
//
// At the first error it cancels the rest and returns that error, a [*TaskError].
// When ctx ends, or the pool, it returns the context's cause, or the pool's error. In
// both cases what was not begun never is, and tasks under way are cancelled: their
// contexts end, and workers that do not return within the pool's Grace are killed.
// Map does not wait for that.
//
// With KeepGoing it returns all results that there are, and [TaskErrors]. The end of
// ctx, or of the pool, is then the error of each input whose outcome is not there by
// then; of those nobody knows whether they were begun. A call that could not begin has no
// results: its error is that of ctx or the pool itself.
func (f *Func[A, R]) Map(ctx context.Context, p *Pool, in []A, o *MapOptions) (out []R, err error) {
	var tuned MapOptions
	if o != nil {
		tuned = *o
	}
	if tuned.Window == 0 {
		tuned.Window = mapWindow // they lie in memory anyway
	}
	results := make([]R, len(in))
	j := &job{patient: tuned.KeepGoing}
	if f.plainResult {
		j.store = func(first, items int, records []byte) (stored, size int) {
			return storePlain(results[first:first+items], records)
		}
	}
	c, err := f.begin(ctx, p, &tuned, j)
	if err != nil {
		return nil, err
	}
	c.total = len(in)
	if f.plainArgument {
		c.all = in
	}
	if c.keepGoing {
		c.settled = make([]bool, len(in))
	}
	var opened closers
	defer func() {
		if out == nil {
			opened.close()
		}
	}()
	var failed TaskErrors
	block := max(1, min(mapBlock, tuned.Window/4)) // there are others under way when one is fed
	err = c.run(slices.Values(in), block, func(r outcome[R]) bool {
		if r.Err == nil {
			results[r.Index] = r.Value
			opened.add(r.closeAll)
			return true
		}
		failed = append(failed, r.Err.(*TaskError))
		return c.keepGoing
	})
	switch {
	case len(failed) > 0 && !c.keepGoing:
		return nil, failed[0]
	case err != nil && !c.keepGoing:
		return nil, err
	}
	if err != nil {
		for i, has := range c.settled {
			if !has {
				failed = append(failed, &TaskError{Func: f.name, Index: i, Worker: -1, Err: err})
			}
		}
	}
	if len(failed) == 0 {
		return results, nil
	}
	slices.SortFunc(failed, func(a, b *TaskError) int { return a.Index - b.Index })
	return results, failed
}

// mapWindow is how many inputs of Map may be under way, and mapBlock how many are
// handed over at a time.
const (
	mapWindow = 1 << 16
	mapBlock  = 1 << 10
)

// MapUnordered runs the function in the pool for each value of in, and gives the
// results as they come. Its error is in the last one if the whole call has
// failed: its Index is -1, and Err the context's cause or the pool's error.
//
// The input is read by a goroutine of its own, no further than Window allows.
// Ending the loop cancels the rest. The input is then asked for no more; an
// input that waits for something is not waited for. If the input panics, so does
// the loop, with an error that has its stack; if it calls runtime.Goexit, so does
// the loop. The loop must not close the pool: Close waits for the call, which waits
// for the loop.
func (f *Func[A, R]) MapUnordered(ctx context.Context, p *Pool, in iter.Seq[A], o *MapOptions) iter.Seq[Result[R]] {
	return func(yield func(Result[R]) bool) {
		c, err := f.begin(ctx, p, o, &job{eager: true})
		if err == nil {
			err = c.run(in, 1, func(r outcome[R]) bool { return yield(r.Result) })
		}
		if err != nil && err != errEnough {
			yield(Result[R]{Index: -1, Err: err})
		}
	}
}

// Stream is MapUnordered in the order of the inputs. An error is that of the
// input at this place, a [*TaskError], and the loop may go on; or it is the end.
// A result that is not there yet keeps those behind it back, and Window counts
// them.
func (f *Func[A, R]) Stream(ctx context.Context, p *Pool, in iter.Seq[A], o *MapOptions) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		early := make(map[int]outcome[R])
		defer func() {
			for _, r := range early {
				r.drop()
			}
		}()
		next := 0
		c, err := f.begin(ctx, p, o, &job{eager: true})
		if err == nil {
			c.ordered = true
			err = c.run(in, 1, func(r outcome[R]) bool {
				early[r.Index] = r
				for {
					r, ok := early[next]
					if !ok {
						return true
					}
					delete(early, next)
					next++
					c.job.done(1)
					if !yield(r.Value, r.Err) {
						return false
					}
				}
			})
		}
		if err != nil && err != errEnough {
			var none R
			yield(none, err)
		}
	}
}
