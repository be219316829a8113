// Package survivors is exercise 4.2: some tasks kill their worker.
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
	return nil, nil, errors.New("not solved yet")
}
