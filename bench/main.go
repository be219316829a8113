// Bench measures this module beside its peers: the standard library, C programs
// on glibc, Boost, and CPython. It prints the figures and can write them down as a
// document.
//
//	go run . [-only NAME,...] [-o FILE]
//
// A subject is one table; each has a file of its own. What they share is in
// measure.go (rounds, medians, targets), programs.go (C and Python) and
// report.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/machine"
	"github.com/go-multiproc/multiproc/proc"
)

// subjects in the order of the document. Each is made when its turn comes, so
// that what it holds open does not disturb the others.
var subjects = []struct {
	name string
	make func(*programs) (*subject, error)
}{
	{"lock", lockSubject},
	{"contend", contendSubject},
	{"fair", fairSubject},
	{"recover", recoverSubject},
	{"primitive", primitiveSubject},
	{"together", togetherSubject},
	{"array", arraySubject},
	{"square", squareSubject},
	{"start", startSubject},
	{"idle", idleSubject},
	{"queue", queueSubject},
	{"pipe", pipeSubject},
	{"inplace", inPlaceSubject},
	{"trip", tripSubject},
	{"sleep", sleepSubject},
	{"pool", poolSubject},
	{"poolapply", applySubject},
	{"poolfirst", firstSubject},
	{"poollarge", largeSubject},
	{"poolwork", workSubject},
}

func main() {
	plainChild() // before Main: these children are not the library's
	proc.Main()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "", "measure these subjects only, separated by commas")
	out := flag.String("o", "", "write the document to this file")
	flag.Parse()
	if *only != "" && *out != "" {
		return errors.New("-o writes the whole document: it goes with all subjects, not with -only")
	}
	wanted, err := selected(*only)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()

	r := report{Begin: time.Now(), Machine: machine.Describe(ctx)}
	p, err := buildPrograms(ctx)
	if err != nil {
		return err
	}
	defer p.remove()
	r.Peers = p.versions(ctx)
	for _, s := range subjects {
		if !wanted(s.name) {
			continue
		}
		measured, err := measureSubject(ctx, p, s.make)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.Subjects = append(r.Subjects, measured)
		if err := r.print(os.Stdout, measured); err != nil {
			return err
		}
	}
	r.End = time.Now()
	if *out == "" {
		return r.summary(os.Stdout)
	}
	if err := writeFile(*out, r.document); err != nil {
		return err
	}
	return r.summary(os.Stdout)
}

func measureSubject(ctx context.Context, p *programs, construct func(*programs) (*subject, error)) (_ *subject, err error) {
	s, err := construct(p)
	if err != nil {
		return nil, err
	}
	if s.close != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	return s, s.measure(ctx)
}

func selected(only string) (func(name string) bool, error) {
	if only == "" {
		return func(string) bool { return true }, nil
	}
	var known []string
	for _, s := range subjects {
		known = append(known, s.name)
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only %s: there is no such subject; there are %s", name, strings.Join(known, ", "))
		}
	}
	return func(name string) bool { return slices.Contains(names, name) }, nil
}

// writeFile replaces the file only by a whole one.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already if all went well
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
