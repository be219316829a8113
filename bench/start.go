package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/proc"
)

var nothingTask = proc.RegisterTask("nothing", func(context.Context, proc.None) error { return nil })

// What a plain child is for, in argv[0].
const (
	plainNothing = "bench: nothing" // ends at once
	plainIdle    = "bench: idle"    // says that it is there, and waits for the end of its standard input
	plainTraced  = "bench: traced"  // marks its lock and unlock for a tracer
)

// plainChild is the whole life of a child that os.StartProcess started.
func plainChild() {
	switch os.Args[0] {
	case plainNothing:
		os.Exit(0)
	case plainIdle:
		fmt.Println()
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case plainTraced:
		if err := traced(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// startSubject: a process that does nothing.
func startSubject(p *programs) (*subject, error) {
	const ours, big = "proc Start+Join", "proc Start+Join, parent with 1 GiB"
	return &subject{
		Title:  "Starting a process and waiting for its end",
		Unit:   "µs",
		Method: "The process does nothing. A round is 40 starts one after another (20 or 8 with CPython); its figure is their median. \"Parent with 1 GiB\": the starting process has 1 GiB of private memory resident. os.StartProcess starts this same program, which ends at the beginning of main.",
		Rounds: 9,
		Contenders: []*contender{
			{Name: ours, run: func(ctx context.Context) ([]float64, error) { return repeat(ctx, 40, startJoin) }},
			{Name: "os.StartProcess+Wait", run: func(ctx context.Context) ([]float64, error) { return repeat(ctx, 40, startWait) }},
			{Name: big, run: bigParent},
			p.c("C posix_spawn+wait, static", "start", "40"),
			p.py("CPython fork", "start.py", "fork", "20"),
			p.py("CPython forkserver", "start.py", "forkserver", "8"),
			p.py("CPython spawn", "start.py", "spawn", "8"),
		},
		Targets: []target{
			atMost(ours, 1.25, "os.StartProcess+Wait"),
			atMost(big, 1.1, ours), // never slower, and what measuring costs
		},
	}, nil
}

// repeat returns the microseconds of each of n runs.
func repeat(ctx context.Context, n int, run func(context.Context) error) ([]float64, error) {
	var times []float64
	for range n {
		begin := time.Now()
		if err := run(ctx); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(begin))/1e3)
	}
	return times, nil
}

func startJoin(ctx context.Context) error {
	p, err := nothingTask.Start(ctx, proc.None{}, nil)
	if err != nil {
		return err
	}
	return p.Join(ctx)
}

func startWait(context.Context) error {
	p, err := os.StartProcess("/proc/self/exe", []string{plainNothing}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("the child ended: %v", state)
	}
	return err
}

func bigParent(ctx context.Context) ([]float64, error) {
	mem, err := resident(1024)
	if err != nil {
		return nil, err
	}
	times, err := repeat(ctx, 40, startJoin)
	if unmapErr := unix.Munmap(mem); err == nil {
		err = unmapErr
	}
	return times, err
}
