package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/proc"
)

// A gate lets processes begin together. It lies in shared memory.
type gate struct{ arrived atomic.Int64 }

// meet returns when n calls have been made by all processes together. It spins:
// there are as many processors as processes.
func (g *gate) meet(n int) {
	for g.arrived.Add(1); g.arrived.Load() < int64(n); {
	}
}

// gather is meet for more processes than processors: it lets others run.
func (g *gate) gather(n int) {
	for g.arrived.Add(1); g.arrived.Load() < int64(n); {
		time.Sleep(100 * time.Microsecond)
	}
}

// await returns when n calls of meet have been made, without using a processor.
// It fails if one of the processes ends before.
func (g *gate) await(ctx context.Context, n int, processes ...*proc.Process) error {
	for g.arrived.Load() < int64(n) {
		for _, p := range processes {
			if !p.Alive() {
				return fmt.Errorf("%s ended early: %v", p.Name(), p.Join(ctx))
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}

// now is nanoseconds on a clock that all processes share. It is read without a
// system call, as in C.
func now() int64 { return int64(futex.After(0)) }
