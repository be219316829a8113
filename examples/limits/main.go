// Limits: a worker process may have 256 MiB. A task that takes 2 GiB dies, and
// takes nobody along.
//
// What the Go runtime says about that, at length, comes on standard error, as anything
// does that a worker writes there: 2>/dev/null hides it, and so does PoolOptions.Stderr.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
)

// fill takes so many MiB of memory, one after another, and returns how many bytes
// it has written.
var fill = proc.Register("fill", func(_ context.Context, mib int) (int, error) {
	var memory [][]byte
	for range mib {
		memory = append(memory, bytes.Repeat([]byte{1}, 1<<20))
	}
	return len(memory) << 20, nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{
		Workers: 2,
		Limits:  proc.Limits{Memory: 256 << 20},
	})
	check(err)

	sizes := []int{1, 8, 2048, 16, 2}
	written, err := fill.Map(ctx, pool, sizes, &proc.MapOptions{KeepGoing: true})
	var failed proc.TaskErrors
	if err != nil && !errors.As(err, &failed) {
		log.Fatal(err)
	}
	for i, mib := range sizes {
		var died *proc.WorkerDiedError
		if errors.As(failed.At(i), &died) {
			fmt.Printf("%4d MiB: the worker has died, and was replaced\n", mib)
		} else {
			fmt.Printf("%4d MiB: %d bytes written\n", mib, written[i])
		}
	}
	check(pool.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
