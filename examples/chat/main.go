// Chat: programs that nobody started together talk to each other.
//
//	chat serve ADDRESS      passes on what each says to all others, until the last has left
//	chat join ADDRESS NAME  says the lines of its standard input, shows what the others say
//	chat                    plays a scene with a server and two guests, one of whom is killed
//
// An address is a path, as ./socket, or @ and a name.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// A line is what somebody says; the first one of each guest is empty.
type line struct{ From, Text string }

func main() {
	switch args := os.Args[1:]; {
	case len(args) == 0:
		check(play())
	case len(args) == 2 && args[0] == "serve":
		check(serve(context.Background(), args[1]))
	case len(args) == 3 && args[0] == "join":
		check(join(context.Background(), args[1], args[2]))
	default:
		log.Fatal("usage: chat [serve ADDRESS | join ADDRESS NAME]")
	}
}

// A room has its guests by their connections.
type room map[*proc.Conn]string

// serve waits for the listener and all guests at once.
func serve(ctx context.Context, address string) error {
	l, err := proc.Listen(address, nil)
	if err != nil {
		return err
	}
	fmt.Println("open")
	guests := room{}
	for begun := false; !begun || len(guests) > 0; {
		sources := []proc.Source{l}
		for c := range guests {
			sources = append(sources, c)
		}
		ready, err := proc.Wait(ctx, sources...)
		if err != nil {
			return err
		}
		for _, s := range ready {
			switch s := s.(type) {
			case *proc.Listener:
				c, err := s.Accept(ctx)
				if err != nil {
					return err
				}
				guests[c] = ""
			case *proc.Conn:
				guests.hear(ctx, s)
				begun = true
			}
		}
	}
	return l.Close()
}

// hear takes one line of a guest, or its end: who is killed leaves like the
// others. A line that does not come whole within a second is taken later.
func (r room) hear(ctx context.Context, c *proc.Conn) {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var said line
	switch err := c.Recv(limited, &said); {
	case errors.Is(err, context.DeadlineExceeded):
	case err == nil && r[c] == "":
		r[c] = said.From
		r.tell(ctx, c, line{Text: said.From + " joined"})
	case err == nil:
		r.tell(ctx, c, line{From: r[c], Text: said.Text})
	default:
		name := r[c]
		delete(r, c)
		_ = c.Close() // nothing is left to send
		if name != "" {
			r.tell(ctx, c, line{Text: name + " left"})
		}
	}
}

// tell sends to all but one. Who does not listen for a second is left out, and
// noticed by its end.
func (r room) tell(ctx context.Context, not *proc.Conn, l line) {
	if l.From == "" {
		fmt.Println(l.Text)
	}
	for c, name := range r {
		if c == not || name == "" {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, time.Second)
		_ = c.Send(limited, l)
		cancel()
	}
}

func join(ctx context.Context, address, name string) error {
	c, err := proc.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	if err := c.Send(ctx, line{From: name}); err != nil {
		return err
	}
	shown := make(chan error)
	go func() { shown <- show(ctx, c) }()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := c.Send(ctx, line{Text: in.Text()}); err != nil {
			return err
		}
	}
	if err := c.Close(); err != nil {
		return err
	}
	return <-shown
}

func show(ctx context.Context, c *proc.Conn) error {
	for {
		var l line
		switch err := c.Recv(ctx, &l); {
		case err == io.EOF, errors.Is(err, proc.ErrClosed):
			return nil
		case err != nil:
			return err
		case l.From == "":
			fmt.Println(l.Text)
		default:
			fmt.Printf("%s: %s\n", l.From, l.Text)
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
