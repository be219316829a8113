// Package trust is a solution of exercise 2.3.
package trust

import (
	"context"
	"os"
	"sync"

	"github.com/go-multiproc/multiproc/proc"
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

// A rooted is what travels of an outcome: an error cannot.
type rooted struct{ Pid, Root int }

var remote = proc.Register("work", func(_ context.Context, n int) (rooted, error) {
	o := work(n)
	return rooted{o.Pid, o.Root}, nil
})

// apart does the work in a process of its own.
func apart(ctx context.Context, n int) Outcome {
	c, err := remote.Start(ctx, n, nil)
	if err != nil {
		return Outcome{Err: err}
	}
	r, err := c.Result(ctx)
	return Outcome{Pid: r.Pid, Root: r.Root, Err: err}
}

// Run does all jobs at once: trusted ones in goroutines, each of the others in a
// process of its own. The outcomes have the order of the jobs.
func Run(ctx context.Context, jobs []Job) []Outcome {
	outcomes := make([]Outcome, len(jobs))
	var group sync.WaitGroup
	for i, job := range jobs {
		group.Go(func() {
			if job.Trusted {
				outcomes[i] = work(job.Number)
			} else {
				outcomes[i] = apart(ctx, job.Number)
			}
		})
	}
	group.Wait()
	return outcomes
}
