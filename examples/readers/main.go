// Readers and writers: any number may read a board at once, but who writes is
// alone with it.
//
// The board has a front and a back, and a writer changes one after the other. A
// reader that saw it in between would find them different. That the readers are
// really there together is shown as well: each waits, while it reads, until all
// of them do. The writers come only then: one that came before the last reader
// would wait for the others, which wait for the last, which waits for the writer.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const (
	readers = 3
	writers = 2
	writes  = 100 // of each writer
)

// A Board lies in shared memory.
type Board struct {
	lock        psync.RWMutex
	front, back int

	together psync.Barrier
}

var write = proc.RegisterTask("write", func(_ context.Context, board *shm.Value[Board]) error {
	b := board.Ptr()
	for range writes {
		b.lock.Lock()
		b.front++
		b.back++
		b.lock.Unlock()
	}
	return nil
})

var read = proc.RegisterTask("read", func(ctx context.Context, board *shm.Value[Board]) error {
	b := board.Ptr()
	b.lock.RLock()
	_, err := b.together.Wait(ctx) // with the lock held
	b.lock.RUnlock()
	if err != nil {
		return err
	}
	for seen := 0; seen < writers*writes; {
		b.lock.RLock()
		front, back := b.front, b.back
		b.lock.RUnlock()
		if front != back {
			return fmt.Errorf("half a change: %d in front, %d behind", front, back)
		}
		seen = front
	}
	return nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	board, err := shm.NewValue(Board{}, &shm.Options{NoLock: true})
	check(err)
	check(board.Ptr().together.Init(readers + 1)) // and this process

	var reading, writing []*proc.Process
	for range readers {
		p, err := read.Start(ctx, board, nil)
		check(err)
		reading = append(reading, p.Process)
	}
	_, err = board.Ptr().together.Wait(ctx)
	check(err)
	for range writers {
		p, err := write.Start(ctx, board, nil)
		check(err)
		writing = append(writing, p.Process)
	}
	check(join(ctx, reading))
	fmt.Printf("%d readers read at once, and none of them saw half a change\n", readers)
	check(join(ctx, writing))
	fmt.Printf("%d writers have written %d times\n", writers, board.Ptr().front)
	check(board.Close())
}

func join(ctx context.Context, processes []*proc.Process) (err error) {
	for _, p := range processes {
		err = errors.Join(err, p.Join(ctx))
	}
	return err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
