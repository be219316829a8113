package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// A tier is a target of the Makefile that shows something.
type tier struct {
	Name  string
	Shows string // what passing means; markdown

	command []string // nil: make and its name
}

// tiers in the order in which they run.
var tiers = []tier{
	{Name: "test", Shows: "everything works, with real processes"},
	{Name: "race", Shows: "the same under the race detector"},
	{Name: "crash", Shows: "a process is killed, or stopped, at each numbered step of docs/protocol.md; the others go on, and are told of a death exactly if they must be"},
	{Name: "stress", Shows: "the same at each machine instruction of an ordinary build, which a tracer steps through; campaigns of kills at random instants; and thousands of waiters"},
	{Name: "mutate", Shows: "the tests notice when the code is broken"},
	{Name: "history", Shows: "what processes saw of locks, queues and pipes, some of them killed at random instants, can have happened, one operation after the other"},
	{Name: "spec", Shows: "in a model of the protocol nothing bad is reachable; broken variants are found out. Each interleaving of a setting is looked at"},
	{Name: "fuzz", Shows: "bytes that a hostile peer or a torn file could have give errors, never a panic"},
}

// run runs the tier and reads what it prints. A tier that fails is an error, and
// so is one that shows nothing.
func (t tier) run(ctx context.Context) (run, error) {
	command := t.command
	if command == nil {
		command = []string{"make", t.Name, "GOTEST=go test -count=1 -v"}
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // make ends what it has started
	r := run{Tier: t.Name, Began: time.Now().UTC().Truncate(time.Second)}
	output, err := cmd.CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(output)
		return run{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	r.Seconds, r.Passed = int(time.Since(r.Began).Seconds()), passed(output)
	if r.Lines, err = parse(output, t.Name); err != nil {
		return run{}, err
	}
	if r.Passed == 0 && len(r.Lines) == 0 {
		return run{}, fmt.Errorf("%s: it passed and showed nothing", t.Name)
	}
	return r, nil
}
