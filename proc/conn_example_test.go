package proc_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"slices"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A clerk calls an address, gets numbers, and doubles them: a program of its
// own, elsewhere. Here it is a child.
var clerk = proc.RegisterTask("example clerk", func(ctx context.Context, address string) error {
	c, err := proc.Dial(ctx, address, &proc.ConnOptions{Key: []byte("secret")})
	if err != nil {
		return err
	}
	defer c.Close()
	var numbers *shm.Array[int64]
	if err := c.Recv(ctx, &numbers); err != nil { // it arrives attached to the same memory
		return err
	}
	defer numbers.Close()
	numbers.Do(func(v []int64) {
		for i := range v {
			v[i] *= 2
		}
	})
	return c.Send(ctx, "doubled")
})

// Two processes that share nothing but an address and a key meet, prove to each
// other that they know the key, and then pass messages of any type, shared
// memory among them.
func ExampleListen() {
	ctx := context.Background()
	l, err := proc.Listen("", &proc.ConnOptions{Key: []byte("secret")}) // "": any address that is free
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	p, err := clerk.Start(ctx, l.Address(), nil)
	if err != nil {
		log.Fatal(err)
	}

	c, err := l.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	numbers, err := shm.ArrayOf([]int64{1, 2, 3}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer numbers.Close()
	if err := c.Send(ctx, numbers); err != nil {
		log.Fatal(err)
	}
	var answer string
	if err := c.Recv(ctx, &answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer, numbers.Copy())

	fmt.Println(c.Recv(ctx, &answer), p.Join(ctx))
	// Output:
	// doubled [2 4 6]
	// EOF <nil>
}

var upper = proc.RegisterTask("example upper", func(ctx context.Context, c *proc.Conn) error {
	for {
		b, err := c.RecvBytes(ctx, 0)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range b {
			b[i] -= 'a' - 'A'
		}
		if err := c.SendBytes(ctx, b); err != nil {
			return err
		}
	}
})

// A child converses with its parent while it runs.
func ExampleNewConn() {
	ctx := context.Background()
	c, theirs, err := proc.NewConn()
	if err != nil {
		log.Fatal(err)
	}
	p, err := upper.Start(ctx, theirs, nil)
	if err != nil {
		log.Fatal(err)
	}
	theirs.Close() // the child has its own; else it would never see the end

	for _, word := range []string{"one", "two"} {
		if err := c.SendBytes(ctx, []byte(word)); err != nil {
			log.Fatal(err)
		}
		b, err := c.RecvBytes(ctx, 100)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(b))
	}
	c.Close()
	fmt.Println(p.Join(ctx))
	// Output:
	// ONE
	// TWO
	// <nil>
}

var three = proc.RegisterTask("example three", func(ctx context.Context, q *shm.Queue[int]) error {
	_, err := q.PutAll(ctx, []int{1, 2, 3})
	return err
})

// One goroutine waits for a queue, a connection and the end of a process, and
// takes from each that is ready. What has come to its end is taken off the list,
// as it would always be ready.
func ExampleWait() {
	ctx := context.Background()
	numbers, err := shm.NewQueue[int](10, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer numbers.Detach()
	words, theirs, err := proc.NewConn()
	if err != nil {
		log.Fatal(err)
	}
	defer words.Close()
	p, err := three.Start(ctx, numbers, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := theirs.Send(ctx, "hello"); err != nil {
		log.Fatal(err)
	}
	theirs.Close()

	sum, word := 0, ""
	sources := []proc.Source{numbers, words, p}
	for len(sources) > 1 { // the queue alone has no end
		ready, err := proc.Wait(ctx, sources...)
		if err != nil {
			log.Fatal(err)
		}
		for _, s := range ready {
			ended := false
			switch s {
			case numbers:
				n, err := numbers.TryGet()
				if err == nil {
					sum += n
				}
			case words:
				ended = words.Recv(ctx, &word) == io.EOF
			case p:
				ended = true
			}
			if ended {
				sources = slices.DeleteFunc(sources, func(other proc.Source) bool { return other == s })
			}
		}
	}
	for n, err := numbers.TryGet(); err == nil; n, err = numbers.TryGet() {
		sum += n // what was put before the end
	}
	fmt.Println(word, sum, p.Join(ctx))
	// Output: hello 6 <nil>
}
