package proc

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A Part is the argument of a function that [For] or [Reduce] runs: what all
// parts share, and which range this one is.
type Part[A any] struct {
	Arg       A   // what all parts share; the next part in this worker has the same, so it must stay open
	Low, High int // the range [Low, High)
}

// ranged is what *Part[A] is, whatever A.
type ranged interface{ setRange(low, high int) }

func (p *Part[A]) setRange(low, high int) { p.Low, p.High = low, high }

// A Schedule says how a range is divided among workers, as OpenMP has it. The parts
// depend on nothing but the length of the range, the number of workers, the schedule
// and Chunk: two calls that agree in these have the same parts, and Reduce the same
// sums of floats.
type Schedule uint8

// The schedules.
const (
	// Guided parts are large at first, and smaller the less there is left: half
	// of what one worker's share of it would be. Loads balance, with few parts.
	Guided Schedule = iota

	// Dynamic parts are of one size, Chunk, whatever the number of workers; the default
	// is 1/64 of a worker's share.
	Dynamic

	// Static parts are of one size, a worker's share, rounded up: there are at most as
	// many as the pool has workers.
	Static
)

// ForOptions tune For and Reduce. Nil means the defaults.
type ForOptions struct {
	Schedule Schedule      // how the range is divided
	Chunk    int           // the smallest part of Guided, each part of Dynamic; 0 means the default
	Timeout  time.Duration // of one part; 0 means the pool's, -1 none

	// Progress is as in MapOptions. It counts elements.
	Progress func(Progress)
}

// check returns an error that names an option, or the number of elements, if it is
// out of range.
func (o *ForOptions) check(n int) error {
	switch {
	case n < 0:
		return fmt.Errorf("%d elements: out of range, which is from 0 up", n)
	case o.Chunk < 0:
		return fmt.Errorf("parts of %d elements: out of range, which is from 0 up", o.Chunk)
	case o.Schedule > Static:
		return fmt.Errorf("schedule %d: out of range, which is from 0 to %d", o.Schedule, Static)
	}
	return nil
}

// For runs body in the pool for parts of the range [0, n), which together are all
// of it. It is for work in place, on shared arrays: arg goes once to each worker,
// and no element is copied. Arrays in arg are open in the workers until they have
// seen some other calls of For or Reduce.
//
// A part is never run again: nobody could tell how far it had come. If it fails,
// if its worker dies, or if it runs into its time limit, the error is a
// [*PartError] that names it. At the first error, and when ctx ends, the rest is
// cancelled. When For returns, no worker is at work on it any more.
func For[A, R any](ctx context.Context, p *Pool, n int, body *Func[Part[A], R], arg A, o *ForOptions) error {
	return parts(ctx, p, n, body, arg, o, outcome[R].drop)
}

// Reduce is [For] with results: it combines those of the parts, in the order of
// the range, beginning with zero. Of an empty range the result is zero.
func Reduce[A, R any](ctx context.Context, p *Pool, n int, body *Func[Part[A], R], arg A, zero R, combine func(R, R) R, o *ForOptions) (R, error) {
	results := make(map[int]R)
	var opened closers
	combined := false
	defer func() {
		if !combined { // it has failed, or Progress or combine has panicked
			opened.close()
		}
	}()
	err := parts(ctx, p, n, body, arg, o, func(r outcome[R]) {
		results[r.Index] = r.Value
		opened.add(r.closeAll)
	})
	if err != nil {
		return zero, err
	}
	for i := range len(results) {
		zero = combine(zero, results[i])
	}
	combined = true
	return zero, nil
}

// parts runs body, and calls yield with the result of each part.
func parts[A, R any](ctx context.Context, p *Pool, n int, body *Func[Part[A], R], arg A, o *ForOptions, yield func(outcome[R])) error {
	if o == nil {
		o = &ForOptions{}
	}
	if err := o.check(n); err != nil {
		return fmt.Errorf("proc: %s in parallel: %w", body.name, err)
	}
	whole := Part[A]{Arg: arg}
	m, err := wire.Encode(reflect.ValueOf(&whole).Elem())
	if err != nil {
		return fmt.Errorf("proc: %s in parallel: encode the argument: %w", body.name, err)
	}
	shared := &parcel{message: m}
	ranges := *body
	ranges.encode = encodeRange[A]
	c, err := ranges.begin(ctx, p, &MapOptions{Chunk: 1, Retries: -1, Timeout: o.Timeout, Progress: o.Progress}, &job{shared: shared})
	if err != nil {
		shared.close()
		return err
	}
	all := divide[A](n, p.Workers(), *o)
	defer func() { <-c.job.over }() // whatever happens, also if Progress panics
	c.total, c.counts = n, true
	again := recall(all)
	defer again.stop()
	var failed error
	err = c.run(all, 1, func(r outcome[R]) bool {
		part := again.part(r.Index)
		if r.Err == nil {
			c.count += part.High - part.Low
			yield(r)
			return true
		}
		failed = &PartError{Low: part.Low, High: part.High, Err: r.Err}
		return false
	})
	if failed != nil {
		return failed
	}
	return err
}

// A recaller makes parts again, about in their order: nobody keeps them.
type recaller[A any] struct {
	next  func() (Part[A], bool)
	stop  func()
	made  int
	ahead map[int]Part[A] // those that were passed over
}

func recall[A any](all iter.Seq[Part[A]]) *recaller[A] {
	r := &recaller[A]{ahead: make(map[int]Part[A])}
	r.next, r.stop = iter.Pull(all)
	return r
}

// part returns the part with an index, once.
func (r *recaller[A]) part(index int) Part[A] {
	for ; r.made <= index; r.made++ {
		r.ahead[r.made], _ = r.next()
	}
	part := r.ahead[index]
	delete(r.ahead, index)
	return part
}

// encodeRange encodes what a part has for itself.
func encodeRange[A any](part Part[A], buf []byte) (encoded, error) {
	buf = binary.LittleEndian.AppendUint64(buf, uint64(part.Low))
	return encoded{data: binary.LittleEndian.AppendUint64(buf, uint64(part.High))}, nil
}

// divide divides the range [0, n), in the same way each time.
func divide[A any](n, workers int, o ForOptions) iter.Seq[Part[A]] {
	share := (n-1)/workers + 1
	return func(yield func(Part[A]) bool) {
		for low := 0; low < n; {
			size := share
			switch {
			case o.Schedule == Dynamic && o.Chunk > 0:
				size = o.Chunk
			case o.Schedule == Dynamic:
				size = (share-1)/64 + 1
			case o.Schedule == Guided:
				size = max((n-low)/(2*workers), o.Chunk, 1)
			}
			part := Part[A]{Low: low, High: low + min(size, n-low)}
			if !yield(part) {
				return
			}
			low = part.High
		}
	}
}
