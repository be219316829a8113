// Producers and consumers share a buffer with room for four items. Who produces
// waits while it is full, who consumes waits while it is empty.
//
// Two semaphores do all the waiting: one counts the free places, the other the
// items. Whoever takes from one gives to the other, so together they never count
// more than there are places. Dijkstra's solution of 1965, with processes.
//
// (shm.Queue is this, ready made, and survives the death of its users.)
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const (
	places    = 4
	producers = 3
	consumers = 2
	each      = 100 // items that a producer makes
)

// A Buffer lies in shared memory.
type Buffer struct {
	free, filled psync.Semaphore
	lock         psync.Mutex // guards what follows
	in, out      int
	items        [places]int64
}

func (b *Buffer) put(ctx context.Context, item int64) error {
	if err := b.free.Acquire(ctx, 1); err != nil {
		return err
	}
	b.lock.Lock()
	b.items[b.in%places] = item
	b.in++
	b.lock.Unlock()
	return b.filled.Release(1)
}

func (b *Buffer) get(ctx context.Context) (int64, error) {
	if err := b.filled.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	b.lock.Lock()
	item := b.items[b.out%places]
	b.out++
	b.lock.Unlock()
	return item, b.free.Release(1)
}

// A Share is what a producer is to make: the numbers after From, so many.
type Share struct {
	Buffer *shm.Value[Buffer]
	From   int64
}

var produce = proc.RegisterTask("produce", func(ctx context.Context, s Share) error {
	for i := range int64(each) {
		if err := s.Buffer.Ptr().put(ctx, s.From+i+1); err != nil {
			return err
		}
	}
	return nil
})

const last = -1 // an item that tells a consumer to go home

var consume = proc.Register("consume", func(ctx context.Context, buffer *shm.Value[Buffer]) (sum int64, err error) {
	for {
		item, err := buffer.Ptr().get(ctx)
		if err != nil || item == last {
			return sum, err
		}
		sum += item
	}
})

func main() {
	proc.Main()

	ctx := context.Background()
	shared, err := shm.NewValue(Buffer{}, &shm.Options{NoLock: true})
	check(err)
	buffer := shared.Ptr()
	check(buffer.free.Init(places, places))

	var eaters []*proc.Call[int64]
	for range consumers {
		c, err := consume.Start(ctx, shared, nil)
		check(err)
		eaters = append(eaters, c)
	}
	var makers []*proc.Process
	for i := range int64(producers) {
		p, err := produce.Start(ctx, Share{shared, i * each}, nil)
		check(err)
		makers = append(makers, p.Process)
	}
	for _, p := range makers {
		check(p.Join(ctx))
	}
	for range consumers {
		check(buffer.put(ctx, last))
	}
	sum := int64(0)
	for _, c := range eaters {
		part, err := c.Result(ctx)
		check(err)
		sum += part
	}
	fmt.Printf("%d producers put 1 to %d, %d consumers got numbers with the sum %d\n", producers, producers*each, consumers, sum)
	check(shared.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
