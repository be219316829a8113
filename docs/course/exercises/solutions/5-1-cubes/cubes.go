// Package cubes is a solution of exercise 5.1.
package cubes

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-multiproc/multiproc/proc"
)

// cube returns the third power. It does not know what to do with negative numbers.
var cube = proc.Register("cube", func(_ context.Context, x int) (int, error) {
	if x < 0 {
		return 0, fmt.Errorf("%d is negative", x)
	}
	return x * x * x, nil
})

// Cubes makes a pool of so many workers, has it cube the numbers, and closes it, also
// after an error of cube, which it returns. The cubes have the order of the numbers.
func Cubes(ctx context.Context, workers int, numbers []int) ([]int, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: workers})
	if err != nil {
		return nil, err
	}
	cubes, err := cube.Map(ctx, pool, numbers, nil)
	return cubes, errors.Join(err, pool.Close())
}
