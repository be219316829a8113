package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// Ways to end badly, and one that is good.
const (
	nilPointer = "writes through a nil pointer"
	abort      = "aborts, as a library in C does"
	greed      = "takes memory without end"
	runaway    = "never ends"
	good       = "adds 1 and 1"
)

var end = proc.Register("end", func(_ context.Context, how string) (int, error) {
	switch how {
	case nilPointer:
		var p *int
		*p = 1
	case abort:
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {} // the signal is on its way
	case greed:
		for memory := []byte{1}; ; memory = bytes.Repeat(memory, 2) {
		}
	case runaway:
		for n := 0; n != 1; n /= 2 { // that will take a while
		}
	}
	return 1 + 1, nil
})

// crashes has tasks end in all these ways, one after another in the same pool, and
// writes down what the parent is told.
func crashes(ctx context.Context) (*measure.Table, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{
		Workers: 1,
		Grace:   10 * time.Millisecond,
		Limits:  proc.Limits{Memory: 256 << 20},
		Stderr:  io.Discard, // where they complain
	})
	if err != nil {
		return nil, err
	}
	t := measure.NewTable("Tasks that end badly", "the task", "its parent hears")
	for _, how := range []string{nilPointer, abort, greed, runaway, good} {
		limit := time.Minute
		if how == runaway {
			limit = 100 * time.Millisecond
		}
		_, err := end.Map(ctx, pool, []string{how}, &proc.MapOptions{Timeout: limit})
		t.Add(how, told(err))
	}
	return t, pool.Close()
}

func told(err error) string {
	var panicked *proc.PanicError
	var died *proc.WorkerDiedError
	switch {
	case err == nil:
		return "the result"
	case errors.As(err, &panicked):
		return "it panicked, and where"
	case errors.As(err, &died):
		return "its process died, and how"
	case errors.Is(err, proc.ErrTaskTimeout):
		return "it took too long, and was killed"
	default:
		return err.Error()
	}
}
