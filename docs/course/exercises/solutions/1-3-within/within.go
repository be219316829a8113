// Package within is a solution of exercise 1.3.
package within

import (
	"context"
	"errors"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// ErrTooLong means that a task was cut off by its time limit.
var ErrTooLong = errors.New("the task took too long")

// collatz counts the steps from n to 1, if it gets there: from 0 it does not. It
// never looks at its context.
var collatz = proc.Register("collatz", func(_ context.Context, n int) (steps int, err error) {
	for ; n != 1; steps++ {
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
	return steps, nil
})

// Within returns the result of collatz, or ErrTooLong if that takes longer than the
// limit. When it returns, the process has ended.
func Within(ctx context.Context, limit time.Duration, n int) (steps int, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, limit, ErrTooLong)
	defer cancel()
	c, err := collatz.Start(limited, n, &proc.Options{Grace: time.Millisecond})
	if err != nil {
		return 0, err
	}
	return c.Result(ctx) // not limited: that would return before the process is gone
}
