// Command verification runs the tiers of tests, one after the other, and writes
// docs/verification.md from what they print:
//
//	go run ./internal/verification [-only TIER,...] [-o FILE]
//
// A tier is a target of the Makefile; tiers.go has the list. What it has shown it
// prints in lines of the form
//
//	verified: TIER: NAME: FIGURES
//
// each of which becomes a row of the page. Tests print them by proctest.Verified.
// A line counts in the run of its own tier only: many tests run in several, in
// different sizes. If a tier fails there is no page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

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
	only := flag.String("only", "", "run these tiers only, separated by commas")
	out := flag.String("o", "", "write the page to this file")
	flag.Parse()
	if *only != "" && *out != "" {
		return errors.New("-o writes the whole page: it goes with all tiers, not with -only")
	}
	wanted, err := selected(*only)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()

	p := page{Begin: time.Now(), Machine: machine.Describe(ctx)}
	for _, t := range wanted {
		fmt.Printf("make %s\n", t.Name)
		r, err := t.run(ctx)
		if err != nil {
			return err
		}
		for _, l := range r.Lines {
			fmt.Printf("  %s: %s\n", l.Name, l.Figures)
		}
		p.Runs = append(p.Runs, r)
	}
	p.End = time.Now()
	if *out == "" {
		return nil
	}
	text, err := p.text()
	if err != nil {
		return err
	}
	return os.WriteFile(*out, text, 0o644)
}

// selected returns the tiers with these names, all if there are none.
func selected(only string) (wanted []tier, err error) {
	if only == "" {
		return tiers, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(tiers, func(t tier) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %s: there is no such tier", name)
		}
		wanted = append(wanted, tiers[i])
	}
	return wanted, nil
}
