// Package enough is a solution of exercise 5.2.
package enough

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// A Path is a number, and how many steps it takes from there to 1.
type Path struct{ From, Steps int }

// steps counts the steps of Collatz's rule from n to 1.
var steps = proc.Register("steps", func(_ context.Context, n int) (Path, error) {
	if n == 27 {
		time.Sleep(200 * time.Millisecond) // a long way: others come first
	}
	p := Path{From: n}
	for ; n > 1; p.Steps++ {
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
	return p, nil
})

// First returns the first of the numbers, in their order, from which it takes at least
// so many steps. There may be infinitely many numbers; the pool works on several at
// once. That there is no such number is an error.
func First(ctx context.Context, pool *proc.Pool, numbers iter.Seq[int], least int) (int, error) {
	for path, err := range steps.Stream(ctx, pool, numbers, nil) { // in the order of the numbers
		if err != nil {
			return 0, err
		}
		if path.Steps >= least {
			return path.From, nil // ends the loop, which cancels the rest
		}
	}
	return 0, errors.New("none of the numbers takes so many steps")
}
