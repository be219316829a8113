// Package barrier is a solution of exercise 6.3.
package barrier

import (
	"context"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A Cell is what a process is given: the row, its place in it, and where it meets the
// others.
type Cell struct {
	Row    *shm.Array[float64]
	Index  int
	Rounds int
	Meet   *shm.Value[psync.Barrier]
}

// mean of a number and its two neighbours.
func (c Cell) mean() float64 {
	sum := 0.0
	for i := max(0, c.Index-1); i <= min(c.Index+1, c.Row.Len()-1); i++ {
		sum += c.Row.At(i)
	}
	return sum / 3
}

var smooth = proc.RegisterTask("smooth", func(ctx context.Context, c Cell) error {
	meet := c.Meet.Ptr()
	if err := meet.Register(); err != nil { // if this process dies, the others are told
		return err
	}
	for range c.Rounds {
		mean := c.mean()
		if _, err := meet.Wait(ctx); err != nil { // all have read
			return err
		}
		c.Row.Set(c.Index, mean)
		if _, err := meet.Wait(ctx); err != nil { // all have written
			return err
		}
	}
	meet.Unregister() // it has finished, and is not missed
	return nil
})

// Blur smooths a row of numbers so many times, in place: each number becomes the mean
// of itself and its two neighbours, as they were before the round. Beyond both ends
// there are zeros.
//
// Each number is the work of a process of its own, from the first round to the last.
// In a round they all read, and only when all have read, they all write; and nobody
// begins the next round before all have written. psync.Barrier is what they meet at.
func Blur(ctx context.Context, row *shm.Array[float64], rounds int) error {
	meet, err := shm.NewValue(psync.Barrier{}, &shm.Options{NoLock: true})
	if err != nil {
		return err
	}
	defer meet.Close()
	if err := meet.Ptr().Init(row.Len()); err != nil {
		return err
	}
	var cells []*proc.Process
	for i := range row.Len() {
		p, err := smooth.Start(ctx, Cell{row, i, rounds, meet}, nil)
		if err != nil {
			return err
		}
		cells = append(cells, p.Process)
	}
	for _, p := range cells {
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	return nil
}
