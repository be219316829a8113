// Pipeline: three processes, each of which works on what the one before it
// makes. One reads a journal, one takes its lines apart, one adds up.
//
//	read --pipe--> parse --pipe--> add
//
// Nobody sends a last item. Who receives is told io.EOF when everything was
// received and the sender has gone; who sends is told shm.ErrBroken when the
// receiver has gone. Gone is who closed its end, and who was killed: either way
// the end goes through the whole pipeline, and nobody waits for ever.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"slices"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const journal = `GET /index 12
GET /about 7
PUT /index 31
GET /index 11
GET /search 250
GET /about 9
GET /search 310
`

var read = proc.RegisterTask("read", func(ctx context.Context, lines *shm.Pipe[string]) error {
	for line := range strings.Lines(journal) {
		if err := lines.Send(ctx, line); err != nil {
			return err
		}
	}
	return lines.Close()
})

// A Visit is one line of the journal, taken apart.
type Visit struct {
	Page   string
	Millis int
}

// A Middle is what the process in the middle is given: one end of each pipe.
type Middle struct {
	Lines  *shm.Pipe[string]
	Visits *shm.Pipe[Visit]
}

var parse = proc.RegisterTask("parse", func(ctx context.Context, m Middle) error {
	for {
		line, err := m.Lines.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return m.Visits.Close()
		} else if err != nil {
			return err
		}
		var method string
		var v Visit
		if _, err := fmt.Sscan(line, &method, &v.Page, &v.Millis); err != nil {
			return err
		}
		if err := m.Visits.Send(ctx, v); err != nil {
			return err
		}
	}
})

var add = proc.Register("add", func(ctx context.Context, visits *shm.Pipe[Visit]) (map[string]int, error) {
	sums := map[string]int{}
	for {
		v, err := visits.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return sums, nil
		} else if err != nil {
			return nil, err
		}
		sums[v.Page] += v.Millis
	}
})

func main() {
	proc.Main()

	ctx := context.Background()
	oneWay := &shm.PipeOptions{OneWay: true, Capacity: 4} // who is ahead by four messages waits
	lineReceiver, lineSender, err := shm.NewPipe[string](oneWay)
	check(err)
	visitReceiver, visitSender, err := shm.NewPipe[Visit](oneWay)
	check(err)

	first, err := read.Start(ctx, lineSender, nil)
	check(err)
	middle, err := parse.Start(ctx, Middle{lineReceiver, visitSender}, nil)
	check(err)
	last, err := add.Start(ctx, visitReceiver, nil)
	check(err)
	check(errors.Join(lineReceiver.Close(), lineSender.Close(), visitReceiver.Close(), visitSender.Close())) // the processes have their own

	sums, err := last.Result(ctx)
	check(errors.Join(first.Join(ctx), middle.Join(ctx), err))
	for _, page := range slices.Sorted(maps.Keys(sums)) {
		fmt.Println(page, sums[page], "ms")
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
