// Processes: four processes, each of which prints its own name and its number.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/proc"
)

var show = proc.RegisterTask("show", func(_ context.Context, num int) error {
	_, err := fmt.Printf(" %s, num: %d\n", proc.Current().Name, num)
	return err
})

func main() {
	proc.Main()

	ctx := context.Background()
	var processes []*proc.Process
	for num := range 4 {
		p, err := show.Start(ctx, num, nil)
		check(err)
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		check(p.Join(ctx))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
