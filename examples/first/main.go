// First: one process squares a shared array.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var square = proc.RegisterTask("square", func(_ context.Context, numbers *shm.Array[int32]) error {
	numbers.Do(func(v []int32) { // under the array's lock
		for i := range v {
			v[i] *= v[i]
		}
	})
	return nil
})

func main() {
	proc.Main() // in a child process this runs square, and ends

	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7}, nil)
	check(err)
	p, err := square.Start(context.Background(), numbers, nil)
	check(err)
	check(p.Join(context.Background()))
	fmt.Println(numbers.Copy())
	check(numbers.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
