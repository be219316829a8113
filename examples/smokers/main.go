// Smokers: to smoke one needs tobacco, paper and matches. Each of three smokers
// has plenty of one, and an agent puts the two others on the table, in turn for
// each of them.
//
// Semaphores, one for each thing, would end in a deadlock: two smokers take one
// thing each. With a condition variable a smoker waits until exactly what it
// lacks is there, and takes both under one lock. (Suhas Patil, 1971.)
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

var things = []string{"tobacco", "paper", "matches"}

const rounds = 5

// A Table lies in shared memory.
type Table struct {
	lock    psync.Mutex
	changed psync.Cond
	lies    [3]bool // which things lie on the table
	closed  bool
}

func (t *Table) empty() bool { return t.lies == [3]bool{} }

// A Place is one smoker's.
type Place struct {
	Table *shm.Value[Table]
	Has   int
}

var smoke = proc.Register("smoke", func(ctx context.Context, p Place) (smoked int, err error) {
	t := p.Table.Ptr()
	lacks := [3]bool{true, true, true}
	lacks[p.Has] = false
	t.lock.Lock()
	defer t.lock.Unlock()
	for {
		if _, err := t.changed.WaitFor(ctx, &t.lock, func() bool { return t.lies == lacks || t.closed }); err != nil {
			return smoked, err
		}
		if t.closed {
			return smoked, nil
		}
		t.lies = [3]bool{}
		smoked++
		t.changed.Broadcast()
	}
})

func main() {
	proc.Main()

	ctx := context.Background()
	shared, err := shm.NewValue(Table{}, &shm.Options{NoLock: true})
	check(err)
	var smokers []*proc.Call[int]
	for i := range things {
		call, err := smoke.Start(ctx, Place{shared, i}, nil)
		check(err)
		smokers = append(smokers, call)
	}

	t := shared.Ptr()
	t.lock.Lock()
	for i := range rounds * len(things) {
		t.lies = [3]bool{true, true, true}
		t.lies[i%len(things)] = false
		t.changed.Broadcast()
		_, err := t.changed.WaitFor(ctx, &t.lock, t.empty)
		check(err)
	}
	t.closed = true
	t.changed.Broadcast()
	t.lock.Unlock()

	for i, call := range smokers {
		smoked, err := call.Result(ctx)
		check(err)
		fmt.Printf("the smoker with %s smoked %d times\n", things[i], smoked)
	}
	check(shared.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
