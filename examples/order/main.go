// Order: four processes each print a number, and the lines come in order, in three
// ways: by waiting for each process, by a lock, and by a barrier.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const n = 4

func main() {
	proc.Main()

	ctx := context.Background()
	fmt.Println("join")
	check(inTurn(ctx))
	fmt.Println("lock")
	check(byTicket(ctx))
	fmt.Println("barrier")
	check(inRounds(ctx))
}

var show = proc.RegisterTask("show", func(_ context.Context, num int) error {
	_, err := fmt.Printf(" %s, num: %d\n", proc.Current().Name, num)
	return err
})

// inTurn starts each process when the one before it has ended.
func inTurn(ctx context.Context) error {
	for num := range n {
		p, err := show.Start(ctx, num, nil)
		if err != nil {
			return err
		}
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	return nil
}

// draw takes the next number and prints it. Both happen under one lock, so nobody
// prints between the two.
var draw = proc.RegisterTask("draw", func(_ context.Context, next *shm.Value[int32]) (err error) {
	next.Do(func(num *int32) {
		_, err = fmt.Printf(" whoever came, num: %d\n", *num)
		*num++
	})
	return err
})

// byTicket starts all processes at once. They draw their numbers like people in a
// shop: who comes first has 0.
func byTicket(ctx context.Context) error {
	next, err := shm.NewValue[int32](0, nil)
	if err != nil {
		return err
	}
	defer next.Close()
	var processes []*proc.Process
	for range n {
		p, err := draw.Start(ctx, next, nil)
		if err != nil {
			return err
		}
		processes = append(processes, p.Process)
	}
	return join(ctx, processes)
}

// A Player is what a process is given: its number, and where it meets the others.
type Player struct {
	Num     int
	Barrier *shm.Value[psync.Barrier]
}

// play goes through all rounds, and prints in its own. No round begins before all have
// finished the one before it.
var play = proc.RegisterTask("play", func(ctx context.Context, p Player) error {
	barrier := p.Barrier.Ptr()
	if err := barrier.Register(); err != nil { // if this process dies, the others are told
		return err
	}
	for round := range n {
		if round == p.Num {
			if _, err := fmt.Printf(" %s, num: %d\n", proc.Current().Name, p.Num); err != nil {
				return err
			}
		}
		if _, err := barrier.Wait(ctx); err != nil {
			return err
		}
	}
	barrier.Unregister() // it has finished, and is not missed
	return nil
})

// inRounds starts all processes at once. They go through n rounds together.
func inRounds(ctx context.Context) error {
	barrier, err := shm.NewValue(psync.Barrier{}, &shm.Options{NoLock: true})
	if err != nil {
		return err
	}
	defer barrier.Close()
	if err := barrier.Ptr().Init(n); err != nil {
		return err
	}
	var processes []*proc.Process
	for num := range n {
		p, err := play.Start(ctx, Player{num, barrier}, nil)
		if err != nil {
			return err
		}
		processes = append(processes, p.Process)
	}
	return join(ctx, processes)
}

// join waits for all processes.
func join(ctx context.Context, processes []*proc.Process) error {
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
