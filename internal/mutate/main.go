// Command mutate shows that the tests bite. It breaks the code in one way after the
// other and runs the test that is to notice:
//
//	go run ./internal/mutate [-run REGEXP] [-v]
//
// The tree is not touched: the broken files go to the compiler as an overlay. The
// exit status is 1 if a mutant survives, if its text is no longer found, if it
// does not compile, or if its test fails without it.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	only := flag.String("run", "", "try only mutants whose name matches this regular expression")
	verbose := flag.Bool("v", false, "print what the tests say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	caught, err := try(ctx, *only, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !caught {
		os.Exit(1)
	}
}

// try reports whether all mutants were caught.
func try(ctx context.Context, only string, verbose bool) (bool, error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, sound: map[string]outcome{}, verbose: verbose}

	begin, tried, survived := time.Now(), map[string]int{}, map[string]int{}
	for _, m := range mutants {
		if !wanted.MatchString(m.name) {
			continue
		}
		tried[m.pkg]++
		verdict, err := b.judge(ctx, m)
		if err != nil {
			return false, fmt.Errorf("%s: %w", m.name, err)
		}
		word := "caught    "
		if !verdict.caught {
			word = "NOT CAUGHT"
			survived[m.pkg]++
		}
		fmt.Printf("%s  %-46s %s\n", word, m.name, verdict.how)
	}
	for _, pkg := range slices.Sorted(maps.Keys(tried)) { // lines for make verification
		fmt.Printf("verified: mutate: %s: %d mutants, %d caught, %d not\n", pkg, tried[pkg], tried[pkg]-survived[pkg], survived[pkg])
	}
	fmt.Printf("in %d s\n", int(time.Since(begin).Seconds()))
	return len(tried) > 0 && len(survived) == 0, nil
}
