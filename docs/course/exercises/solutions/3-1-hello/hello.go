// Package hello is a solution of exercise 3.1.
package hello

import (
	"context"
	"os"

	"github.com/go-multiproc/multiproc/proc"
)

// A Greeting is what a process says of itself.
type Greeting struct {
	Name   string // of the process
	Pid    int    // its process id
	Parent int    // the process id of the one that started it
}

var greet = proc.Register("greet", func(context.Context, proc.None) (Greeting, error) {
	return Greeting{Name: proc.Current().Name, Pid: os.Getpid(), Parent: os.Getppid()}, nil
})

// Hello starts a process with this name and returns its greeting.
func Hello(ctx context.Context, name string) (Greeting, error) {
	p, err := greet.Start(ctx, proc.None{}, &proc.Options{Name: name})
	if err != nil {
		return Greeting{}, err
	}
	return p.Result(ctx)
}
