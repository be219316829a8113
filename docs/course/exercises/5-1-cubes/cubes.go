// Package cubes is exercise 5.1: a pool from its beginning to its end.
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
	return nil, errors.New("not solved yet")
}
