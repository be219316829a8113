// Package cubes is a solution of exercise 5.1.
package cubes

import (
	"context"
	"errors"

	"github.com/go-multiproc/multiproc/proc"
)

var cube = proc.Register("cube", func(_ context.Context, x int) (int, error) { return x * x * x, nil })

// Cubes makes a pool of so many workers, has it cube the numbers, and closes it,
// also after an error.
func Cubes(ctx context.Context, workers int, numbers []int) ([]int, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: workers})
	if err != nil {
		return nil, err
	}
	cubes, err := cube.Map(ctx, pool, numbers, nil)
	return cubes, errors.Join(err, pool.Close())
}
