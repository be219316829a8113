// Package enough is exercise 5.2: an input without an end.
package enough

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// steps counts the steps of Collatz's rule from n to 1.
var steps = proc.Register("steps", func(_ context.Context, n int) (steps int, err error) {
	if n == 27 {
		time.Sleep(200 * time.Millisecond) // a long way: others come first
	}
	for ; n > 1; steps++ {
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
	return steps, nil
})

// First returns the first of the numbers, in their order, from which it takes at least
// so many steps. There may be infinitely many numbers; the pool works on several at
// once. That there is no such number is an error.
func First(ctx context.Context, pool *proc.Pool, numbers iter.Seq[int], least int) (int, error) {
	return 0, errors.New("not solved yet")
}
