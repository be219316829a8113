// Versus: goroutines, goroutines that are locked to threads, and processes, side by
// side: what they share, what a crash does, what it costs to talk, how they scale and
// what one of them costs.
//
//	versus                takes half a minute
//	versus -svg plot.svg  draws how they scale as well
//	versus -quick         shows that it works
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
)

// Sizes say how much is done for each figure.
type sizes struct {
	messages int // through a channel or pipe, one way
	trips    int // there and back
	updates  int // of a number
	steps    int // of a computation
	starts   int
	rounds   int // of which the median is taken
}

var (
	whole = sizes{messages: 1_000_000, trips: 50_000, updates: 2_000_000, steps: 300_000_000, starts: 100, rounds: 3}
	quick = sizes{messages: 1000, trips: 100, updates: 1000, steps: 10_000, starts: 3, rounds: 1}
)

func main() {
	proc.Main()
	svg := flag.String("svg", "", "draw how the kinds scale, into this `file`")
	isQuick := flag.Bool("quick", false, "little work, and figures that say nothing")
	flag.Parse()
	size := whole
	if *isQuick {
		size = quick
	}

	ctx := context.Background()
	origin := measure.Origin(ctx, *isQuick)
	for _, difference := range []func(context.Context, sizes) (*measure.Table, error){memory, crash, talk, cost} {
		table, err := difference(ctx, size)
		check(err)
		fmt.Println(table)
	}
	growth, err := scale(ctx, size)
	check(err)
	for _, g := range growth {
		fmt.Println(g.table())
	}
	fmt.Println(origin)
	if *svg != "" {
		check(draw(*svg, growth))
	}
}

// draw writes the plot into a file.
func draw(name string, growth []curves) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := plot(f, growth); err != nil {
		return err
	}
	return f.Close()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
