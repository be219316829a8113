// Why: what processes are good for, each reason at work.
//
//	why         takes some seconds
//	why -quick  shows that it works
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
	quick := flag.Bool("quick", false, "little work, and figures that say nothing")
	flag.Parse()

	ctx := context.Background()
	origin := measure.Origin(ctx, *quick)
	numbers, sessions, requests := 4_000_000, 2_000_000, 10_000_000
	if *quick {
		numbers, sessions, requests = 10_000, 10_000, 10_000
	}
	for _, reason := range []func() (*measure.Table, error){
		func() (*measure.Table, error) { return cores(ctx, numbers) },
		func() (*measure.Table, error) { return crashes(ctx) },
		func() (*measure.Table, error) { return heaps(ctx, sessions, requests) },
	} {
		table, err := reason()
		check(err)
		fmt.Println(table)
	}
	fmt.Println(origin)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
