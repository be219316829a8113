package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// double kills its own process when it comes to 13.
var double = proc.Register("double", func(_ context.Context, n int) (int, error) {
	if n == 13 {
		return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return 2 * n, nil
})

// survive counts what is left of a hundred tasks of which one kills its worker.
func survive(ctx context.Context) (*measure.Table, error) {
	var numbers []int
	for n := range 100 {
		numbers = append(numbers, n)
	}
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: width})
	if err != nil {
		return nil, err
	}
	doubles, err := double.Map(ctx, pool, numbers, &proc.MapOptions{KeepGoing: true})
	var failed proc.TaskErrors
	if err != nil && !errors.As(err, &failed) {
		return nil, err
	}
	inPlace := 0
	for i, n := range numbers {
		if failed.At(i) == nil && doubles[i] == 2*n {
			inPlace++
		}
	}
	var died *proc.WorkerDiedError
	if inPlace != 99 || len(failed) != 1 || !errors.As(failed.At(13), &died) {
		return nil, fmt.Errorf("13 was to kill its worker and to cost nothing else: %d results are in place; %w", inPlace, failed)
	}
	t := measure.NewTable("100 tasks, of which one kills its worker", "outcome", "tasks")
	t.Add("the result, in its place", inPlace)
	t.Add("an error that says who died", len(failed))
	return t, pool.Close()
}
