// Package lock is a solution of exercise 6.2.
package lock

import (
	"context"
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Singer is what a process is given. Its number is shared with nobody; the
// lock of Stage is shared with all.
type Singer struct {
	Number int
	Out    *proc.File
	Stage  *shm.Value[int32]
}

// sing writes a verse of three lines. Other processes sing at the same time, but
// one of them at a time is on the stage.
var sing = proc.RegisterTask("sing", func(_ context.Context, s Singer) error {
	s.Stage.Lock()
	defer s.Stage.Unlock()
	for line := range 3 {
		if _, err := fmt.Fprintf(s.Out, "singer %d, line %d\n", s.Number, line); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // to breathe
	}
	return nil
})

// Concert starts n singers at once and waits for all. Each verse stays in one
// piece, whoever sings first.
func Concert(ctx context.Context, out *proc.File, n int) error {
	stage, err := shm.NewValue[int32](0, nil)
	if err != nil {
		return err
	}
	defer stage.Close()
	var singers []*proc.Process
	for number := range n {
		p, err := sing.Start(ctx, Singer{number, out, stage}, nil)
		if err != nil {
			return err
		}
		singers = append(singers, p.Process)
	}
	for _, p := range singers {
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	return nil
}
