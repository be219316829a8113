// Pool: a pool of up to five worker processes squares nine numbers. The results come in
// the order of the numbers, whoever has made them.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
)

var square = proc.Register("square", func(_ context.Context, x int) (int, error) { return x * x, nil })

func main() {
	proc.Main()

	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 5})
	check(err)
	squares, err := square.Map(ctx, pool, []int{3, 4, 5, 6, 6, 7, 87, 8, 8}, nil)
	check(err)
	check(pool.Close())

	fmt.Println(strings.ReplaceAll(fmt.Sprint(squares), " ", ", "))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
