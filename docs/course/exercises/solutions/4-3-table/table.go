// Package table is a solution of exercise 4.3.
package table

import (
	"context"
	"errors"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// load makes a table of the squares below a million. That takes a while, so no
// worker is to do it more than once, and nobody else at all. It counts how often it
// was called.
func load(calls *shm.Value[int64]) map[int]int {
	if _, child := proc.Parent(); !child {
		panic("the table is loaded by the workers, each its own, and not by their parent")
	}
	calls.Do(func(n *int64) { *n++ })
	table := map[int]int{}
	for i := range 1000 {
		table[i*i] = i
	}
	return table
}

// roots is the worker's own: each process has its package-level variables.
var roots map[int]int

var begin = proc.RegisterTask("begin", func(_ context.Context, calls *shm.Value[int64]) error {
	roots = load(calls)
	return nil
})

var root = proc.Register("root", func(_ context.Context, n int) (int, error) {
	if r, ok := roots[n]; ok {
		return r, nil
	}
	return -1, nil
})

// Roots returns the root of each number that is a square below a million, and -1
// for the others. It makes a pool of two workers, each of which loads the table
// when it begins (PoolOptions.Init), and looks up all numbers there.
func Roots(ctx context.Context, calls *shm.Value[int64], numbers []int) ([]int, error) {
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2, Init: begin.With(calls)})
	if err != nil {
		return nil, err
	}
	found, err := root.Map(ctx, pool, numbers, nil)
	return found, errors.Join(err, pool.Close())
}
