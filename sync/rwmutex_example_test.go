package sync_test

import (
	"fmt"
	"sync"

	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A table of prices in shared memory: many read it, at the same time, and now and
// then one changes it. Here the readers are goroutines; processes that attach to
// the segment do the same.
func ExampleRWMutex() {
	seg, err := shm.Create("prices", 4096)
	if err != nil {
		panic(err)
	}
	defer func() { _ = seg.Close() }()
	type table struct {
		mu         psync.RWMutex
		bid, asked int64
	}
	prices, err := shm.Place[table](seg, 0)
	if err != nil {
		panic(err)
	}

	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 1000 {
				prices.mu.RLock()
				if prices.asked != 2*prices.bid {
					fmt.Println("a change was seen half done")
				}
				prices.mu.RUnlock()
			}
		})
	}
	for range 10 {
		prices.mu.Lock()
		prices.bid++
		prices.asked += 2
		prices.mu.Unlock()
	}
	readers.Wait()
	fmt.Println(prices.bid, prices.asked)
	// Output: 10 20
}
