// Chat: programs that nobody started together talk to each other.
//
//	chat serve ADDRESS      passes on what each says to all others, until the last has left
//	chat join ADDRESS NAME  says the lines of its standard input, shows what the others say
//	chat                    plays a scene with a server and three guests: one leaves, one is killed, and
//	                        then the server is killed, too
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
	"syscall"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// A line is what somebody says; the first one of each guest is empty.
type line struct{ From, Text string }

func main() {
	log.SetFlags(0)
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
func serve(ctx context.Context, address string) (err error) {
	l, err := proc.Listen(address, nil)
	if err != nil {
		return err
	}
	guests := room{}
	defer func() { err = errors.Join(err, guests.close(), l.Close()) }()
	fmt.Println("open")
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
	return nil
}

func (r room) close() (err error) {
	for c := range r {
		err = errors.Join(err, c.Close())
	}
	return err
}

// hear takes one line of a guest, or its end: who is killed leaves like the
// others. So does who stops in the middle of a line, for a second.
func (r room) hear(ctx context.Context, c *proc.Conn) {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var said line
	switch err := c.Recv(limited, &said); {
	case err != nil:
		r.drop(ctx, c)
	case r[c] == "":
		r[c] = said.From
		r.tell(ctx, c, line{Text: said.From + " joined"})
	default:
		r.tell(ctx, c, line{From: r[c], Text: said.Text})
	}
}

// drop ends the connection to a guest, and tells the others.
func (r room) drop(ctx context.Context, c *proc.Conn) {
	name := r[c]
	delete(r, c)
	_ = c.Close() // nothing is left to send
	if name != "" {
		r.tell(ctx, c, line{Text: name + " left"})
	}
}

// tell sends to all but one. Who does not listen for a second has left.
func (r room) tell(ctx context.Context, not *proc.Conn, l line) {
	if l.From == "" {
		fmt.Println(l.Text)
	}
	var deaf []*proc.Conn
	for c, name := range r {
		if c == not || name == "" {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, time.Second)
		if c.Send(limited, l) != nil {
			deaf = append(deaf, c)
		}
		cancel()
	}
	for _, c := range deaf {
		if _, here := r[c]; here { // who is told of one may turn out to be another
			r.drop(ctx, c)
		}
	}
}

// join ends with its input, or with the server: then its input may go on for ever.
func join(ctx context.Context, address, name string) error {
	c, err := proc.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- say(ctx, c, name) }()
	go func() { ended <- show(ctx, c) }()
	return errors.Join(<-ended, c.Close())
}

var errGone = errors.New("the server has gone")

func say(ctx context.Context, c *proc.Conn, name string) error {
	err := c.Send(ctx, line{From: name})
	for in := bufio.NewScanner(os.Stdin); err == nil && in.Scan(); {
		err = c.Send(ctx, line{Text: in.Text()})
	}
	if errors.Is(err, syscall.EPIPE) {
		return errGone
	}
	return err
}

func show(ctx context.Context, c *proc.Conn) error {
	for {
		var l line
		switch err := c.Recv(ctx, &l); {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return errGone
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
