//go:build stress

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

const onces = 512

// A onceTarget is many a Once. All lanes do one after the other, and begin anew with
// each round.
type onceTarget struct {
	calm
	Onces [onces]psync.Once
	Runs  [onces]onceRun
	At    [lanes]int64
	Done  int64
	Told  atomic.Int64
}

// A onceRun is what a function has come to. A failed run leaves no trace.
type onceRun struct {
	Begun, Ended atomic.Bool
}

var errOnce = errors.New("this run is to fail")

func (o *onceTarget) setUp() error { return nil }

func (o *onceTarget) step(lane int, _ int64) error {
	at := o.At[lane]
	if at == onces {
		runtime.Gosched()
		return nil
	}
	ctx, cancel := hasty()
	defer cancel()
	run := &o.Runs[at]
	switch err := o.Onces[at].DoContext(ctx, func(died *psync.OwnerDiedError) error { return o.run(run, died != nil) }); {
	case errors.Is(err, errOnce), err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case err != nil:
		return err
	}
	if !run.Begun.Load() || !run.Ended.Load() {
		return errors.New("Do has returned, but no run has come to its end")
	}
	o.At[lane]++
	return nil
}

func (o *onceTarget) run(run *onceRun, told bool) error {
	if told {
		o.Told.Add(1)
	} else if run.Begun.Load() {
		return errors.New("a second run, and nobody died in the first")
	}
	run.Begun.Store(true)
	run.Ended.Store(false)
	spin(50_000)
	if rand.IntN(4) == 0 && !told {
		run.Begun.Store(false)
		return errOnce
	}
	run.Ended.Store(true)
	return nil
}

func (o *onceTarget) settle(t *testing.T, _ int64, _ int) {
	for i := range o.Onces {
		if o.Runs[i].Ended.Load() {
			o.Done++
		}
		o.Runs[i] = onceRun{}
		clear(wordsOf(&o.Onces[i]))
	}
	clear(o.At[:])
	require.NoError(t, o.Onces[0].DoContext(context.Background(), func(died *psync.OwnerDiedError) error {
		require.Nil(t, died)
		return nil
	}))
	clear(wordsOf(&o.Onces[0]))
}

func (o *onceTarget) report() string {
	return fmt.Sprintf("%d done, none twice; %d runs were told of a death", o.Done, o.Told.Load())
}
