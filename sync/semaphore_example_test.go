package sync_test

import (
	"context"
	"fmt"
	"sync"

	psync "github.com/go-multiproc/multiproc/sync"
)

// At most two of five download at a time. In a program of several processes the
// semaphore lies in shared memory; each of them calls Init.
func ExampleSemaphore() {
	var slots psync.Semaphore
	if err := slots.Init(2, 2); err != nil {
		panic(err)
	}
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if err := slots.Acquire(context.Background(), 1); err != nil {
				panic(err)
			}
			defer func() { _ = slots.Release(1) }()
			// download
		})
	}
	group.Wait()
	fmt.Println("free:", slots.Value())
	fmt.Println("one too many:", slots.Release(1))
	// Output:
	// free: 2
	// one too many: psync: Release(1) into a semaphore that has 2 permits of at most 2: too many permits
}

// Three licences for all processes of a program: one that crashes gives its own
// back by that.
func ExampleBoundedSemaphore() {
	var licences psync.BoundedSemaphore
	if err := licences.Init(3); err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(licences.Acquire(ctx, 2), licences.Value())
	fmt.Println(licences.TryAcquire(2))
	fmt.Println(licences.Acquire(ctx, 4))
	fmt.Println(licences.Release(2), licences.Value())
	// Output:
	// <nil> 1
	// false
	// psync: Acquire(4) on a bounded semaphore whose limit is 3: too many permits
	// <nil> 3
}
