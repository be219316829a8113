package main

import (
	"runtime"
	"sync"
)

// The kinds that are compared. Their names head the tables.
const (
	goroutine = "goroutine"
	thread    = "locked thread"
	process   = "process"
)

// together runs the same function in n goroutines, and returns when all have ended. On
// threads means that each has a thread of the system to itself.
func together(n int, onThreads bool, run func(worker int)) {
	var group sync.WaitGroup
	for worker := range n {
		group.Go(func() {
			if onThreads {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			run(worker)
		})
	}
	group.Wait()
}
