// Array: ten processes, each of which squares its own element of a shared array.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A Job is what a process is given: an index, and the array itself.
type Job struct {
	Index   int
	Numbers *shm.Array[int32]
}

var square = proc.RegisterTask("square", func(_ context.Context, job Job) error {
	x := job.Numbers.At(job.Index)
	job.Numbers.Set(job.Index, x*x)
	return nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7, 8, 8, 9, 3, 3, 3}, nil)
	check(err)

	var processes []*proc.Process
	for i := range numbers.Len() {
		p, err := square.Start(ctx, Job{i, numbers}, nil)
		check(err)
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		check(p.Join(ctx))
	}
	fmt.Println(strings.ReplaceAll(fmt.Sprint(numbers.Copy()), " ", ", "))
	check(numbers.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
