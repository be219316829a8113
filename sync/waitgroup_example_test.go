package sync_test

import (
	"context"
	"fmt"

	psync "github.com/go-multiproc/multiproc/sync"
)

// The one who starts the others adds; each of them, in a process of its own as a
// rule, claims its part and is done with it.
func ExampleWaitGroup() {
	var group psync.WaitGroup
	var squares [4]int
	group.Add(len(squares))
	for i := range squares {
		go func() {
			if err := group.Claim(1); err != nil {
				panic(err)
			}
			squares[i] = i * i
			group.Done()
		}()
	}
	// Had the process of one of them died, this would be ErrMemberDied.
	fmt.Println(group.WaitContext(context.Background()), squares)
	// Output: <nil> [0 1 4 9]
}
