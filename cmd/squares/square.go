package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var errInterrupted = errors.New("interrupted")

// programs holds the whole program once for each type.
var programs = map[shm.Code]func(context.Context, *options, io.Reader, io.Writer) error{
	'b': programFor[int8]('b'),
	'B': programFor[uint8]('B'),
	'h': programFor[int16]('h'),
	'H': programFor[uint16]('H'),
	'i': programFor[int32]('i'),
	'I': programFor[uint32]('I'),
	'l': programFor[int64]('l'),
	'L': programFor[uint64]('L'),
	'q': programFor[int64]('q'),
	'Q': programFor[uint64]('Q'),
	'f': programFor[float32]('f'),
	'd': programFor[float64]('d'),
}

func programFor[T number](code shm.Code) func(context.Context, *options, io.Reader, io.Writer) error {
	worker := proc.Register("square "+code.String(), square[T])
	return func(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
		numbers, err := load[T](o, in)
		if err != nil {
			return err
		}
		defer func() { _ = numbers.Close() }() // no squares are lost: they have been printed
		begin := time.Now()
		if err := squareAll(ctx, worker, numbers, o); err != nil {
			return err
		}
		took := time.Since(begin)
		if o.stats {
			return writeStats(out, numbers.View(), atATime(o, numbers.Len()), took)
		}
		return writeList(out, numbers.View())
	}
}

// A job travels to a worker: a range of the array.
type job[T number] struct {
	Numbers  *shm.Array[T]
	From, To int
	Wrap     bool
}

// square is the work of one process. It returns the index of the first element
// that it did not square: To, or that of one whose square does not fit.
//
// It takes no lock. Ranges do not overlap, so each element has one writer; the
// parent wrote before it started this process, and reads after its end. An
// array with a lock would be locked once for each element, or by one worker
// after the other, and exclude nobody who is not kept out already.
func square[T number](ctx context.Context, j job[T]) (int, error) {
	const block = 1 << 16 // a fraction of a millisecond of not looking at ctx
	v := j.Numbers.View()
	for from := j.From; from < j.To; from += block {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		to := min(from+block, j.To)
		if n := squareSlice(v[from:to], j.Wrap); from+n < to {
			return from + n, nil
		}
	}
	return j.To, nil
}

// squareSlice squares up to the first element whose square does not fit, and
// returns how many elements that are.
func squareSlice[T number](v []T, wrap bool) int {
	if wrap {
		for i, x := range v {
			v[i] = x * x
		}
		return len(v)
	}
	high := largest[T]()
	low := min(-high, 0) // 0 for an unsigned type, whose -high is above 0
	for i, x := range v {
		// x-x is not 0 if x is infinite. Its square fits: it is infinite too.
		if (x > high || x < low) && x-x == 0 {
			return i
		}
		v[i] = x * x
	}
	return len(v)
}

// largest returns the largest number whose square fits T.
func largest[T number]() T {
	bits := reflect.TypeFor[T]().Bits()
	switch any(T(0)).(type) {
	case float32: // the square of 0x1p64 is the first too large
		return T(math.Nextafter32(0x1p64, 0))
	case float64:
		return T(math.Nextafter(0x1p512, 0))
	case int8, int16, int32, int64: // the limit, an odd power of two, is no square
		return T(math.Sqrt(math.Ldexp(1, bits-1)))
	default:
		return T(uint64(1)<<(bits/2) - 1)
	}
}

// atATime is how many workers run at a time.
func atATime(o *options, elements int) int { return min(o.workers, elements) }

// squareAll squares the numbers, in processes of which each has a range. It
// returns when all processes have ended. An error leaves some numbers squared
// and others not: the work cannot be taken up again.
func squareAll[T number](ctx context.Context, worker *proc.Func[job[T], int], numbers *shm.Array[T], o *options) error {
	// Before this, and after it, Ctrl-C ends this program as it does any other:
	// there are no workers.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := squareRanges(ctx, worker, numbers, o)
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errInterrupted, context.Cause(ctx))
	}
	// A terminal sends Ctrl-C to workers, too. One that is not yet in proc.Main
	// dies of it, and that can be seen here before the signal is.
	if end := new(proc.ExitError); errors.As(err, &end) && end.Code == -int(syscall.SIGINT) {
		return fmt.Errorf("%w: %v signal received by a worker", errInterrupted, syscall.SIGINT)
	}
	return err
}

func squareRanges[T number](ctx context.Context, worker *proc.Func[job[T], int], numbers *shm.Array[T], o *options) error {
	type part struct {
		*proc.Call[int]
		job[T]
	}
	var running []part // in the order of their ranges
	defer func() {
		for _, p := range running {
			<-p.Done()
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	n := numbers.Len()
	parts, limit := atATime(o, n), atATime(o, n)
	if o.perElement {
		parts = n
	}
	for next := 0; next < parts || len(running) > 0; {
		if next < parts && len(running) < limit {
			j := job[T]{Numbers: numbers, From: n * next / parts, To: n * (next + 1) / parts, Wrap: o.wrap}
			call, err := worker.Start(ctx, j, nil)
			if err != nil {
				return err
			}
			running = append(running, part{call, j})
			next++
			continue
		}
		// Waiting for the lowest range finds the first square that does not
		// fit, whichever worker is the first to meet one.
		p := running[0]
		running = running[1:]
		end, err := p.Result(context.Background()) // the end of ctx ends the process
		if err != nil {
			return fmt.Errorf("elements %d to %d: %w", p.From, p.To-1, err)
		}
		if end < p.To {
			return fmt.Errorf("element %d: the square of %s does not fit type %v (see -wrap)",
				end, appendNumber(nil, numbers.View()[end]), o.code)
		}
	}
	return nil
}
