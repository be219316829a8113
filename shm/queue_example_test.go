package shm_test

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/go-multiproc/multiproc/shm"
)

// A queue that is closed when all has been put. In a program of several
// processes it stands in the arguments of the children.
func ExampleQueue() {
	ctx := context.Background()
	q, err := shm.NewQueue[string](100, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Detach()

	for _, word := range []string{"first", "in", "first", "out"} {
		if err := q.Put(ctx, word); err != nil {
			fmt.Println(err)
		}
	}
	q.Close()
	for word, err := range q.All(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(word)
	}
	// Output:
	// first
	// in
	// first
	// out
}

// Who starts producers registers for them before they start. When the last one
// has deregistered, or died, consumers get the end.
func ExampleQueue_Register() {
	ctx := context.Background()
	q, err := shm.NewQueue[int](100, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Detach()

	var producers sync.WaitGroup
	for producer := range 2 {
		if err := q.Register(ctx); err != nil { // for this one
			fmt.Println(err)
			return
		}
		producers.Go(func() {
			defer q.Deregister()
			if err := q.Put(ctx, producer); err != nil {
				fmt.Println(err)
			}
		})
	}
	sum := 0
	for n, err := range q.All(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		sum += n
	}
	producers.Wait() // before Detach
	fmt.Println("sum", sum)
	// Output: sum 1
}

// Two ends, here of one process; the second one usually goes to a child.
func ExamplePipe() {
	ctx := context.Background()
	a, b, err := shm.NewPipe[int](nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()

	if err := a.Send(ctx, 42); err != nil {
		fmt.Println(err)
	}
	a.Close()
	fmt.Println(b.Recv(ctx))
	_, err = b.Recv(ctx)
	fmt.Println(err == io.EOF)
	// Output:
	// 42 <nil>
	// true
}

// A buffer that is too short keeps the message.
func ExampleBytePipe() {
	ctx := context.Background()
	a, b, err := shm.NewBytePipe(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	defer b.Close()

	if err := a.SendBytes(ctx, []byte("a message")); err != nil {
		fmt.Println(err)
	}
	_, err = b.RecvBytes(ctx, 3)
	fmt.Println(err)
	message, err := b.RecvBytes(ctx, 100)
	fmt.Printf("%s %v\n", message, err)
	// Output:
	// shm: pipe "[]uint8": receive: short buffer: a message of 9 bytes, room for 3
	// a message <nil>
}
