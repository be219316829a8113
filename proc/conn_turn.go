package proc

import (
	"context"
	"errors"
	"os"
	"time"
)

// A turn is a lock that a context can end the waiting for.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// interruptible runs op, which a deadline ends when ctx does. The deadline is
// gone when it returns.
func interruptible(ctx context.Context, set func(time.Time) error, op func() error) error {
	if ctx.Done() == nil {
		return op()
	}
	passed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = set(time.Unix(1, 0)) // closed: then op ends, too
		close(passed)
	})
	err := op()
	if !stop() {
		<-passed
		_ = set(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}
