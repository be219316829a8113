// Package join is exercise 6.1: lines in order, by waiting for each process.
package join

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// A Job is what a process is given: its number, and where it writes.
type Job struct {
	Number int
	Out    *proc.File
}

// show writes one line. The first processes take the longest.
var show = proc.RegisterTask("show", func(_ context.Context, job Job) error {
	time.Sleep(100 * time.Millisecond / time.Duration(job.Number+1))
	_, err := fmt.Fprintf(job.Out, "%s, num: %d\n", proc.Current().Name, job.Number)
	return err
})

// InOrder starts n processes, each of which writes its number to out: 0 first,
// n-1 last.
func InOrder(ctx context.Context, out *proc.File, n int) error {
	return errors.New("not solved yet")
}
