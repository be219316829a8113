// Package squares is a solution of exercise 3.2.
package squares

import (
	"context"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Job is one element of an array.
type Job struct {
	Index   int
	Numbers *shm.Array[int32]
}

var square = proc.RegisterTask("square", func(_ context.Context, job Job) error {
	x := job.Numbers.At(job.Index)
	job.Numbers.Set(job.Index, x*x) // nobody else has this element: no need to hold the lock meanwhile
	return nil
})

// Square squares the numbers in place. Each element is the work of a process of
// its own, and all of them are started before the first one is waited for. It
// returns their process ids.
func Square(ctx context.Context, numbers *shm.Array[int32]) (pids []int, err error) {
	var processes []*proc.Process
	for i := range numbers.Len() {
		p, err := square.Start(ctx, Job{i, numbers}, nil)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return nil, err
		}
		pids = append(pids, p.Pid())
	}
	return pids, nil
}
