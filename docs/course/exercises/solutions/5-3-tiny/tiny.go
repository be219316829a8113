// Package tiny is a solution of exercise 5.3.
package tiny

import (
	"context"
	"os"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Task is one number, and where its square belongs.
type Task struct{ Index, Number int }

// A Done is what has become of a task. Pid is the process that did it.
type Done struct{ Index, Square, Pid int }

// square is what a worker does with each task.
func square(t Task) Done {
	return Done{Index: t.Index, Square: t.Number * t.Number, Pid: os.Getpid()}
}

// Two is what a worker is given.
type Two struct {
	Tasks *shm.Queue[Task]
	Done  *shm.Queue[Done]
}

var worker = proc.RegisterTask("worker", func(ctx context.Context, queues Two) error {
	for task, err := range queues.Tasks.All(ctx) { // until the queue is closed and empty
		if err != nil {
			return err
		}
		if err := queues.Done.Put(ctx, square(task)); err != nil {
			return err
		}
	}
	return nil
})

// Map squares the numbers in so many processes at once, which take tasks from one queue
// and put the outcomes into another one, until the first one is closed and empty.
// It returns the squares in the order of the numbers, and the ids of the processes
// that made them.
func Map(ctx context.Context, workers int, numbers []int) (squares []int, pids map[int]bool, err error) {
	queues, err := fill(ctx, numbers)
	if err != nil {
		return nil, nil, err
	}
	defer queues.Tasks.Detach()
	defer queues.Done.Detach()
	var processes []*proc.Process
	for range workers {
		p, err := worker.Start(ctx, queues, nil)
		if err != nil {
			return nil, nil, err
		}
		processes = append(processes, p.Process)
	}
	squares, pids = make([]int, len(numbers)), map[int]bool{}
	for range numbers {
		done, err := queues.Done.Get(ctx)
		if err != nil {
			return nil, nil, err
		}
		squares[done.Index] = done.Square
		pids[done.Pid] = true
	}
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return nil, nil, err
		}
	}
	return squares, pids, nil
}

// fill makes the queues and puts all tasks into the first one.
func fill(ctx context.Context, numbers []int) (queues Two, err error) {
	if queues.Tasks, err = shm.NewQueue[Task](len(numbers), nil); err != nil {
		return Two{}, err
	}
	if queues.Done, err = shm.NewQueue[Done](len(numbers), nil); err != nil {
		return Two{}, err
	}
	for i, n := range numbers {
		if err := queues.Tasks.Put(ctx, Task{Index: i, Number: n}); err != nil {
			return Two{}, err
		}
	}
	return queues, queues.Tasks.Close() // nothing more will come; what is in it can be taken
}
