// Batch: many tasks, with a process for each and with a pool, measured.
//
//	batch         takes some seconds
//	batch -quick  shows that it works
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

func main() {
	proc.Main()
	quick := flag.Bool("quick", false, "few tasks, and figures that say nothing")
	flag.Parse()

	ctx := context.Background()
	origin := measure.Origin(ctx, *quick)
	tasks, unit := 1000, longUnit
	if *quick {
		tasks, unit = 20, quickUnit
	}
	small, err := startOnce(ctx, tasks)
	check(err)
	fmt.Println(small)
	uneven, err := balance(ctx, unit)
	check(err)
	fmt.Println(uneven)
	deaths, err := survive(ctx)
	check(err)
	fmt.Println(deaths)
	fmt.Println(origin)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
