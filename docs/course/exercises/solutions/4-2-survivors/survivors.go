// Package survivors is a solution of exercise 4.2.
package survivors

import (
	"context"
	"errors"
	"os"

	"github.com/go-multiproc/multiproc/proc"
)

// root returns the integer square root. It ends its whole process for a negative
// number: somebody wrote it in a hurry.
var root = proc.Register("root", func(_ context.Context, n int) (r int, err error) {
	if n < 0 {
		os.Exit(3)
	}
	for (r+1)*(r+1) <= n {
		r++
	}
	return r, nil
})

// Roots returns the square roots of those numbers that have one, by number, and
// the numbers whose task took its worker along, in their order. That some have none
// is no error; what else goes wrong is one.
func Roots(ctx context.Context, pool *proc.Pool, numbers []int) (roots map[int]int, none []int, err error) {
	results, err := root.Map(ctx, pool, numbers, &proc.MapOptions{KeepGoing: true})
	var failed proc.TaskErrors
	if err != nil && !errors.As(err, &failed) {
		return nil, nil, err // the call as a whole has failed
	}
	roots = map[int]int{}
	for i, n := range numbers {
		var died *proc.WorkerDiedError
		switch err := failed.At(i); {
		case err == nil:
			roots[n] = results[i]
		case errors.As(err, &died):
			none = append(none, n)
		default:
			return nil, nil, err
		}
	}
	return roots, none, nil
}
