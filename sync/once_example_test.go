package sync_test

import (
	"context"
	"errors"
	"fmt"

	psync "github.com/go-multiproc/multiproc/sync"
)

// What fails has not run, and the next one tries again. If a process had died in
// the middle of it, the next one would be told.
func ExampleOnce_DoContext() {
	var o psync.Once
	attempt := func(outcome error) {
		err := o.DoContext(context.Background(), func(died *psync.OwnerDiedError) error {
			if died != nil {
				fmt.Println("begin anew:", died)
			}
			return outcome
		})
		fmt.Println(err)
	}
	attempt(errors.New("no space left"))
	attempt(nil)
	attempt(errors.New("not called any more"))
	// Output:
	// no space left
	// <nil>
	// <nil>
}
