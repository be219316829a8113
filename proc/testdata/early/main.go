// Early starts a process, and a pool, where it must not. The environment says where: EARLY
// is init, before or never. It says how that went, in one line; if a child came
// this far it would say so as well, and would start a child of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/go-multiproc/multiproc/proc"
)

var task = proc.RegisterTask("task", func(context.Context, struct{}) error { return nil })

func init() { start("init") }

func main() {
	start("before")
	if os.Getenv("EARLY") != "never" {
		proc.Main()
	}
	start("never")
}

func start(where string) {
	if os.Getenv("EARLY") != where {
		return
	}
	// No bomb even if the thing tested is broken.
	depth, _ := strconv.Atoi(os.Getenv("EARLY_DEPTH"))
	if depth > 3 {
		fmt.Println("a fork bomb")
		os.Exit(1)
	}
	if err := os.Setenv("EARLY_DEPTH", strconv.Itoa(depth+1)); err != nil {
		fmt.Println(err)
	}
	c, err := task.Start(context.Background(), struct{}{}, nil)
	p, poolErr := proc.NewPool(context.Background(), &proc.PoolOptions{Workers: 1})
	fmt.Println(err, errors.Is(err, proc.ErrNoMain), errors.Is(poolErr, proc.ErrNoMain))
	if err == nil {
		<-c.Done()
	}
	if poolErr == nil {
		_ = p.Terminate()
	}
}
