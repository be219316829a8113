// Package hello is exercise 3.1: a process that tells who it is.
package hello

import (
	"context"
	"errors"
)

// A Greeting is what a process says of itself.
type Greeting struct {
	Name   string // of the process
	Pid    int    // its process id
	Parent int    // the process id of the one that started it
}

// Hello starts a process with this name and returns its greeting. You need a
// registered function, Start with Options, and Result.
func Hello(ctx context.Context, name string) (Greeting, error) {
	return Greeting{}, errors.New("not solved yet")
}
