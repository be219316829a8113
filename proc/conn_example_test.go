package proc_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/go-multiproc/multiproc/proc"
)

// Two processes that nobody started together meet at an address. Both are this
// one here.
func ExampleListen() {
	ctx := context.Background()
	l, err := proc.Listen("", &proc.ConnOptions{Key: []byte("secret")})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	client, err := proc.Dial(ctx, l.Address(), &proc.ConnOptions{Key: []byte("secret")})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Send(ctx, []string{"hello", "world"}); err != nil {
		log.Fatal(err)
	}
	client.Close()

	c, err := l.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	var words []string
	if err := c.Recv(ctx, &words); err != nil {
		log.Fatal(err)
	}
	fmt.Println(words, c.Recv(ctx, &words) == io.EOF)
	// Output: [hello world] true
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

// Which of several comes first.
func ExampleWait() {
	ctx := context.Background()
	a, theirA, err := proc.NewConn()
	if err != nil {
		log.Fatal(err)
	}
	b, theirB, err := proc.NewConn()
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	defer theirA.Close()
	if err := theirB.Send(ctx, 7); err != nil {
		log.Fatal(err)
	}
	theirB.Close()

	ready, err := proc.Wait(ctx, a, b)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range ready {
		if s == b {
			var n int
			fmt.Println("b", b.Recv(ctx, &n), n)
		}
	}
	// Output: b <nil> 7
}
