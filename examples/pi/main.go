// Pi: two worker processes throw eight million darts at a square and count those
// that hit the circle in it. The range of darts is divided among them, and the
// counts of the parts are added up.
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/go-multiproc/multiproc/proc"
)

const (
	series = 800 // of darts, which are what is divided
	darts  = 10_000
)

// hits counts the hits of some series. Each has random numbers of its own, made
// from its index: so it does not matter who throws it.
var hits = proc.Register("hits", func(ctx context.Context, p proc.Part[struct{}]) (n int, err error) {
	for i := p.Low; i < p.High; i++ {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for range darts {
			x, y := random.Float64(), random.Float64()
			if float64(x*x)+float64(y*y) < 1 { // each rounded by itself, the same on all processors
				n++
			}
		}
	}
	return n, ctx.Err() // if it has ended, nobody wants the rest
})

func main() {
	proc.Main()

	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2})
	check(err)
	add := func(a, b int) int { return a + b }
	n, err := proc.Reduce(ctx, pool, series, hits, struct{}{}, 0, add, nil)
	check(err)
	check(pool.Close())
	fmt.Printf("%d of %d darts have hit: pi is about %.3f\n", n, series*darts, 4*float64(n)/(series*darts))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
