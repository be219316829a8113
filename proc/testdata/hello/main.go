// Hello has a number squared by another process.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var square = proc.Register("square", func(_ context.Context, a *shm.Array[int32]) (string, error) {
	a.Do(func(v []int32) {
		for i := range v {
			v[i] *= v[i]
		}
	})
	return proc.Current().Name, nil
})

func main() {
	proc.Main()
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	a, err := shm.ArrayOf([]int32{2, 3, 6, 7}, nil)
	if err != nil {
		return err
	}
	c, err := square.Start(context.Background(), a, nil)
	if err != nil {
		return err
	}
	name, err := c.Result(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(proc.Current().Name, name, a.Copy())
	return a.Close()
}
