// Barber: a barber sleeps until a customer comes. A customer takes one of three
// chairs, or goes away if all are taken.
//
// Each of the three semaphores counts what one side has to offer the other:
// chairs that are free, customers who wait, and the barber's hand on a
// shoulder: next, please.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const (
	chairs    = 3
	streets   = 4  // processes that send customers
	customers = 25 // from each street
)

// A Shop lies in shared memory.
type Shop struct {
	chairs, waiting, next psync.Semaphore
	closed                atomic.Bool
}

var barber = proc.Register("barber", func(ctx context.Context, shop *shm.Value[Shop]) (cuts int, err error) {
	for s := shop.Ptr(); ; cuts++ {
		if err := s.waiting.Acquire(ctx, 1); err != nil {
			return cuts, err
		}
		if s.closed.Load() {
			return cuts, nil
		}
		// The customer leaves the chair, and sits down before the mirror.
		if err := errors.Join(s.chairs.Release(1), s.next.Release(1)); err != nil {
			return cuts, err
		}
	}
})

// A Count is what became of the customers of a street.
type Count struct{ Served, Left int }

var street = proc.Register("street", func(ctx context.Context, shop *shm.Value[Shop]) (n Count, err error) {
	for s := shop.Ptr(); n.Served+n.Left < customers; {
		if !s.chairs.TryAcquire(1) {
			n.Left++
			continue
		}
		if err := s.waiting.Release(1); err != nil {
			return n, err
		}
		if err := s.next.Acquire(ctx, 1); err != nil {
			return n, err
		}
		n.Served++
	}
	return n, nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	shop, err := shm.NewValue(Shop{}, &shm.Options{NoLock: true})
	check(err)
	check(shop.Ptr().chairs.Init(chairs, chairs))

	b, err := barber.Start(ctx, shop, nil)
	check(err)
	var calls []*proc.Call[Count]
	for range streets {
		call, err := street.Start(ctx, shop, nil)
		check(err)
		calls = append(calls, call)
	}
	var sum Count
	for _, call := range calls {
		n, err := call.Result(ctx)
		check(err)
		sum.Served += n.Served
		sum.Left += n.Left
	}
	shop.Ptr().closed.Store(true)
	check(shop.Ptr().waiting.Release(1))
	cuts, err := b.Result(ctx)
	check(err)

	fmt.Println(sum.Served+sum.Left, "customers came")
	fmt.Println("each who sat down was served:", cuts == sum.Served)
	fmt.Println("free chairs in the evening:", shop.Ptr().chairs.Value())
	check(shop.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
