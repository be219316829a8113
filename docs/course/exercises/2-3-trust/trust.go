// Package trust is exercise 2.3: goroutines for code that you trust, processes for
// the rest.
package trust

import (
	"context"
	"errors"
	"os"
)

// A Job is one number to work on.
type Job struct {
	Number  int
	Trusted bool // whether it may be done in this process
}

// An Outcome is what has become of a job: where it was done and what came out, or
// an error if it panicked or took its process along.
type Outcome struct {
	Pid  int
	Root int
	Err  error
}

// work is good for numbers that are not negative. Others end the process.
func work(n int) Outcome {
	if n < 0 {
		os.Exit(1)
	}
	root := 0
	for (root+1)*(root+1) <= n {
		root++
	}
	return Outcome{Pid: os.Getpid(), Root: root}
}

// Run does all jobs at once: trusted ones in goroutines, each of the others in a
// process of its own. The outcomes have the order of the jobs.
func Run(ctx context.Context, jobs []Job) []Outcome {
	return []Outcome{{Err: errors.New("not solved yet")}}
}
