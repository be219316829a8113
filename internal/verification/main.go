// Command verification runs the tiers of tests, one after the other, and writes
// docs/verification.md from what they print:
//
//	go run ./internal/verification [-o DIR] [TIER...]
//
// A tier is a target of the Makefile; tiers.go has the list. What it has shown it
// prints in lines of the form
//
//	verified: TIER: NAME: FIGURES
//
// each of which becomes a row of the page. Tests print them by proctest.Verified.
// A line counts in the run of its own tier only: many tests run in several, in
// different sizes. What a tier came to stands in DIR/verification.json until the
// tier is run again, so that they need not be run in one go; one that fails changes
// nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/machine"
)

func main() {
	if err := verify(); err != nil {
		fmt.Fprintln(os.Stderr, "verification:", err)
		os.Exit(1)
	}
}

func verify() error {
	dir := flag.String("o", "", "write verification.json and verification.md in this directory")
	flag.Parse()
	wanted, err := selected(flag.Args())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	for _, t := range wanted {
		fmt.Printf("make %s\n", t.Name)
		m := machine.Describe(ctx)
		r, err := t.run(ctx)
		if err != nil {
			return err
		}
		r.Machine = m
		for _, l := range r.Lines {
			fmt.Printf("  %s: %s\n", l.Name, l.Figures)
		}
		if *dir == "" {
			continue
		}
		if err := renew(*dir, r); err != nil {
			return err
		}
	}
	return nil
}

// selected returns the tiers with these names, all if there are none.
func selected(names []string) (wanted []tier, err error) {
	if len(names) == 0 {
		return tiers, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(tiers, func(t tier) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no tier %s", name)
		}
		wanted = append(wanted, tiers[i])
	}
	return wanted, nil
}
