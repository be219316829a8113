// Primes: a pool counts prime numbers, and a bar shows how far it has come.
package main

import (
	"context"
	"fmt"
	"log"
	"math/big"
	"os"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/progress"
)

const stretch = 5_000

// primes counts those of one stretch of the numbers.
var primes = proc.Register("primes", func(_ context.Context, first int64) (n int, err error) {
	for x := first; x < first+stretch; x++ {
		if big.NewInt(x).ProbablyPrime(0) {
			n++
		}
	}
	return n, nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	pool, err := proc.NewPool(ctx, nil)
	check(err)
	var firsts []int64
	for x := int64(0); x < 500_000; x += stretch {
		firsts = append(firsts, x)
	}

	bars := progress.New(os.Stderr)
	counts, err := primes.Map(ctx, pool, firsts, &proc.MapOptions{Progress: bars.Bar("primes")})
	bars.Close()
	check(err)
	check(pool.Close())

	sum := 0
	for _, n := range counts {
		sum += n
	}
	fmt.Println(sum, "primes below half a million")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
