package main

import (
	"context"
	"errors"
	"io"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// fall writes through a nil pointer.
func fall() {
	var p *int
	*p = 1
}

var fallTask = proc.RegisterTask("fall", func(context.Context, proc.None) error {
	fall()
	return nil
})

// neighbour starts one of its kind that crashes, and lives to tell, or not.
var neighbour = proc.RegisterTask("neighbour", func(ctx context.Context, kind string) error {
	if kind != process {
		together(1, kind == thread, func(int) { fall() })
		return errNoCrash
	}
	p, err := fallTask.Start(ctx, proc.None{}, nil)
	if err != nil {
		return err
	}
	err = p.Join(ctx)
	var panicked *proc.PanicError
	switch {
	case errors.As(err, &panicked):
		return nil
	case err == nil:
		return errNoCrash
	default:
		return err
	}
})

var errNoCrash = errors.New("a write through a nil pointer has crashed nobody")

// crash has one of each kind crash beside another one. That happens in a process of a
// pool: else this program would be gone.
func crash(ctx context.Context, _ sizes) (*measure.Table, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1, Stderr: io.Discard})
	if err != nil {
		return nil, err
	}
	t := measure.NewTable("2. Crash: one of two writes through a nil pointer", "who crashes", "the other one")
	for _, kind := range []string{goroutine, thread, process} {
		_, err := neighbour.Submit(ctx, pool, kind).Get(ctx)
		var died *proc.WorkerDiedError
		switch {
		case err == nil:
			t.Add(kind, "goes on")
		case errors.As(err, &died):
			t.Add(kind, "is gone, too")
		default:
			return nil, err
		}
	}
	return t, pool.Close()
}
