// Command mutate shows that the tests bite. It breaks the code in one way after the
// other and runs the test that is to notice:
//
//	go run ./internal/mutate [-run REGEXP] [-j N] [-v]
//
// N are tried at the same time: many mutants hang, or wait for the compiler. The
// tree is not touched: the broken files go to the compiler as an overlay. The exit
// status is 1 if a mutant survives, if its text is no longer found, if it does not
// compile, or if its test fails without it.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	only := flag.String("run", "", "try only mutants whose name matches this regular expression")
	verbose := flag.Bool("v", false, "print what the tests say")
	beside := flag.Int("j", runtime.NumCPU(), "try so many mutants at the same time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	caught, err := try(ctx, *only, max(*beside, 1), *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !caught {
		os.Exit(1)
	}
}

// try reports whether all mutants were caught.
func try(ctx context.Context, only string, beside int, verbose bool) (bool, error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, verbose: verbose}

	begin, tried, survived := time.Now(), map[string]int{}, map[string]int{}
	var mu sync.Mutex // over tried, survived and what is printed
	next := make(chan mutant)
	var benches sync.WaitGroup
	for range beside {
		benches.Go(func() {
			for m := range next {
				verdict := b.judge(ctx, m)
				if ctx.Err() != nil {
					continue
				}
				mu.Lock()
				tried[m.pkg]++
				word := "caught    "
				if !verdict.caught {
					word = "NOT CAUGHT"
					survived[m.pkg]++
				}
				fmt.Printf("%s  %-46s %s\n", word, m.name, verdict.how)
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		if wanted.MatchString(m.name) {
			next <- m
		}
	}
	close(next)
	benches.Wait()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	for _, pkg := range slices.Sorted(maps.Keys(tried)) { // lines for make verification
		fmt.Printf("verified: mutate: %s: %d mutants, %d caught, %d not\n", pkg, tried[pkg], tried[pkg]-survived[pkg], survived[pkg])
	}
	fmt.Printf("in %d s\n", int(time.Since(begin).Seconds()))
	return len(tried) > 0 && len(survived) == 0, nil
}
