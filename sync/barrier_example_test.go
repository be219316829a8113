package sync_test

import (
	"context"
	"fmt"
	"sync"

	psync "github.com/go-multiproc/multiproc/sync"
)

// Three workers compute in steps. Nobody begins a step before all have finished
// the one before, and one of them reports in between. The barrier would lie in
// shared memory if they were processes.
func ExampleBarrier() {
	const workers = 3
	var barrier psync.Barrier
	if err := barrier.Init(workers); err != nil {
		panic(err)
	}
	var parts [workers]int
	report := func() error {
		fmt.Println("parts:", parts)
		return nil
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for step := range 3 {
				parts[w] = step*10 + w
				if _, err := barrier.WaitAction(context.Background(), report); err != nil {
					fmt.Println(err) // a worker has died
					return
				}
			}
		})
	}
	all.Wait()
	// Output:
	// parts: [0 1 2]
	// parts: [10 11 12]
	// parts: [20 21 22]
}
