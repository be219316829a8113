package sync

import (
	"context"
	"errors"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// A Once runs a function once for all processes. The zero value has not run.
//
// Only a function that has returned counts. If its process dies half-way, the
// next caller runs its own function, and may ask to be told; who waited for the
// dead one learns of the death at once. Unlike std's, a panic does not count
// either: there the program ends with it, as a rule; here other processes live
// on, and would go on with what was never made ready.
//
// Layout, version 1, 16 bytes, the processor's byte order:
//
//	off size field
//	  0    8 mu    held while the function runs
//	  8    4 done  1: it has returned
//	 12    4 -     zero
//
// The steps, with the numbers of the probe points:
//
//	321  done: return
//	322  Lock(mu): the steps of a lock; it tells whether a runner died
//	323  done: 326
//	324  run the function
//	325  done = 1
//	326  Unlock(mu), which keeps the mark of a death
//
// The store of done is the whole change: before it nothing has happened, after
// it nobody cares for mu any more. So mu is never marked consistent: each runner
// after a death is told, however many of them fail.
type Once struct {
	_    structs.HostLayout
	mu   Mutex
	done atomic.Uint32
	_    uint32
}

// onceDone is done's one value with a meaning; any other is "not yet".
const onceDone = 1

// Do runs f if no function was run to its end by o yet, in any process. When Do
// returns, one has been. Others wait meanwhile, so if f calls Do of the same o,
// it waits for itself, as with std.
//
// If f panics, or ends its goroutine, the panic goes on to Do's caller and o has
// not run: the next call of Do runs its f. So it does if the process dies within
// f; f must then be able to do again what may be half-done already. Who needs to
// know uses DoContext.
//
// Do panics if this process cannot join the roster of processes.
func (o *Once) Do(f func()) {
	if probe.Enabled {
		probe.At(probe.Once321)
	}
	if o.done.Load() != onceDone {
		o.doSlow(f)
	}
	if check.Race {
		check.Acquire(&o.done)
	}
}

// doSlow is kept apart so that Do inlines.
//
//go:noinline
func (o *Once) doSlow(f func()) {
	err := o.run(context.Background(), func(*OwnerDiedError) error {
		f()
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// DoContext is Do for a function that may fail, and that is told whether a
// process died in the middle of an earlier run: then died is not nil, and what f
// makes ready may be half-done. It is told so until a function has succeeded. (A
// process that was killed right before its run, or after it, is taken for one
// that died in it.)
//
// DoContext returns nil once a function has returned nil, in any process; f's
// error if f was run and failed, which does not count; the context's error if ctx
// ended while another one ran; or an error about the roster of processes. With a
// context that has already ended it runs f if nobody else does, and no living process
// that has waited for a millisecond is to be next.
func (o *Once) DoContext(ctx context.Context, f func(died *OwnerDiedError) error) error {
	probe.At(probe.Once321)
	if o.done.Load() != onceDone {
		if err := o.run(ctx, f); err != nil {
			return err
		}
	}
	check.Acquire(&o.done)
	return nil
}

// run does steps 322 to 326.
func (o *Once) run(ctx context.Context, f func(*OwnerDiedError) error) error {
	probe.At(probe.Once322)
	err := o.mu.LockContext(ctx)
	var died *OwnerDiedError
	if err != nil && !errors.As(err, &died) {
		return err
	}
	defer func() { // also when f panics
		probe.At(probe.Once326)
		o.mu.Unlock()
	}()
	probe.At(probe.Once323)
	if o.done.Load() == onceDone {
		return nil
	}
	probe.At(probe.Once324)
	if err := f(died); err != nil {
		return err
	}
	probe.At(probe.Once325)
	check.Release(&o.done)
	o.done.Store(onceDone)
	return nil
}
