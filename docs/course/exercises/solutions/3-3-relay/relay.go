// Package relay is a solution of exercise 3.3.
package relay

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Sender is what the first process is given.
type Sender struct {
	Lines []string
	To    *shm.Pipe[string]
}

var send = proc.RegisterTask("send", func(ctx context.Context, s Sender) error {
	for _, line := range s.Lines {
		if err := s.To.Send(ctx, line); err != nil {
			return err
		}
	}
	return s.To.Close()
})

var shout = proc.Register("shout", func(ctx context.Context, from *shm.Pipe[string]) (loud []string, err error) {
	for {
		line, err := from.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return loud, nil
		} else if err != nil {
			return nil, err
		}
		loud = append(loud, strings.ToUpper(line))
	}
})

// Relay starts two processes and a pipe between them. The first one sends the
// lines, one by one; the second one receives them until the end, and returns
// them in capital letters. Nothing but the pipe tells it how many there are.
func Relay(ctx context.Context, lines []string) ([]string, error) {
	receiver, sender, err := shm.NewPipe[string](&shm.PipeOptions{OneWay: true})
	if err != nil {
		return nil, err
	}
	first, err1 := send.Start(ctx, Sender{lines, sender}, nil)
	second, err2 := shout.Start(ctx, receiver, nil)
	if err := errors.Join(err1, err2, sender.Close(), receiver.Close()); err != nil { // the children have their own ends
		return nil, err
	}
	loud, err := second.Result(ctx)
	return loud, errors.Join(first.Join(ctx), err)
}
