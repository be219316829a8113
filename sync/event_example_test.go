package sync_test

import (
	"context"
	"fmt"

	psync "github.com/go-multiproc/multiproc/sync"
)

// An event lets all who wait for it go on at once. In a struct in shared memory
// it does so for goroutines of any process.
func ExampleEvent() {
	var start, done psync.Event
	go func() {
		start.Wait(context.Background())
		fmt.Println("running")
		done.Set()
	}()
	fmt.Println("ready")
	start.Set()
	fmt.Println(done.Wait(context.Background()), start.IsSet())

	start.Clear()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(start.Wait(ctx))
	// Output:
	// ready
	// running
	// true true
	// false
}
