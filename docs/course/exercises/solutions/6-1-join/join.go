// Package join is a solution of exercise 6.1.
package join

import (
	"context"
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
	for number := range n {
		p, err := show.Start(ctx, Job{number, out}, nil)
		if err != nil {
			return err
		}
		if err := p.Join(ctx); err != nil { // the next one begins when this one has ended
			return err
		}
	}
	return nil
}
