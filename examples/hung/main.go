// Hung: a task that never ends is cut off by its time limit. Asking it to end
// does not help, so its worker is killed and replaced; the other tasks know
// nothing of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// collatz counts the steps from n to 1, if it gets there: from 0 it does not.
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

func main() {
	proc.Main()

	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{
		Workers:     2,
		TaskTimeout: time.Second,
		Grace:       100 * time.Millisecond, // for a task that looks at its context
	})
	check(err)

	starts := []int{27, 97, 0, 871, 6171}
	steps, err := collatz.Map(ctx, pool, starts, &proc.MapOptions{KeepGoing: true})
	var failed proc.TaskErrors
	if err != nil && !errors.As(err, &failed) {
		log.Fatal(err)
	}
	for i, n := range starts {
		switch err := failed.At(i); {
		case errors.Is(err, proc.ErrTaskTimeout):
			fmt.Printf("%4d: cut off: %v\n", n, err)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Printf("%4d: %d steps\n", n, steps[i])
		}
	}
	check(pool.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
