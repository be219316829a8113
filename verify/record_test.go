package verify

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	psync "github.com/go-multiproc/multiproc/sync"
)

// The size of a round.
const (
	processes  = 3
	goroutines = 2 // of each process
	clients    = processes * goroutines
	operations = 45                     // of each client
	most       = operations + 2*deepest // it lets go of what it holds in the end
	deepest    = 4
)

// An arena is the shared memory of a round: one of each object, two of which are in
// use, and for each client a log that survives the client.
type arena struct {
	Mutex   psync.Mutex
	RMutex  psync.RMutex
	RWMutex psync.RWMutex
	Bounded psync.BoundedSemaphore
	Logs    [clients][most]entry
}

const together = 2 // objects are used in a round

// lock returns an object, or n of it, as a lock.
func (a *arena) lock(o object, n int) psync.Locker {
	switch {
	case o == mutex:
		return &a.Mutex
	case o == rmutex:
		return &a.RMutex
	case o == bounded:
		return permit{s: &a.Bounded, n: n}
	case n > 0:
		return reader{rw: &a.RWMutex}
	}
	return &a.RWMutex
}

// A reader has an RWMutex for reading.
type reader struct {
	psync.Locker
	rw *psync.RWMutex
}

func (r reader) Lock()                                 { r.rw.RLock() }
func (r reader) LockContext(ctx context.Context) error { return r.rw.RLockContext(ctx) }
func (r reader) TryLock() bool                         { return r.rw.TryRLock() }
func (r reader) Unlock()                               { r.rw.RUnlock() }

// A permit is one or more of a BoundedSemaphore's.
type permit struct {
	psync.Locker
	s *psync.BoundedSemaphore
	n int
}

func (p permit) LockContext(ctx context.Context) error { return p.s.Acquire(ctx, p.n) }
func (p permit) TryLock() bool                         { return p.s.TryAcquire(p.n) }

func (p permit) Lock() {
	if err := p.s.Acquire(context.Background(), p.n); err != nil {
		panic(err)
	}
}

func (p permit) Unlock() {
	if err := p.s.Release(p.n); err != nil {
		panic(err)
	}
}

// An entry is one operation. Call is stored before it begins and after what it
// is, Return when it is over and after how it went; an entry without Return
// belongs to one who was killed.
type entry struct {
	Call, Return atomic.Int64 // CLOCK_MONOTONIC, which all processes share
	Kind         kind
	Object       object
	N            uint8
	Outcome      outcome
	Dead         int32 // pid
}

func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// A death is one process's: some time between the signal and its reaping.
type death struct {
	process    int
	begin, end int64
}

// history returns what was done with one object. pids are those of the processes.
func (a *arena) history(o object, pids []int, deaths []death) (history []porcupine.Operation, err error) {
	number := map[int32]int{0: nobody}
	for process, pid := range pids {
		number[int32(pid)] = process
	}
	for client := range a.Logs {
		for i := range a.Logs[client] {
			e := &a.Logs[client][i]
			if e.Call.Load() == 0 || e.Object != o {
				continue
			}
			r := result{pending, nobody}
			if e.Return.Load() != 0 {
				dead, known := number[e.Dead]
				if !known {
					return nil, fmt.Errorf("client %d was told of the death of a process %d, which was never here", client, e.Dead)
				}
				r = result{e.Outcome, dead}
			}
			history = append(history, porcupine.Operation{
				ClientId: client,
				Input:    call{kind: e.Kind, client: client, process: client / goroutines, n: int(e.N)},
				Call:     e.Call.Load(),
				Output:   r,
				Return:   e.Return.Load(),
			})
		}
	}
	for _, d := range deaths {
		history = append(history, porcupine.Operation{
			ClientId: clients + d.process,
			Input:    call{kind: die, client: nobody, process: d.process},
			Call:     d.begin,
			Output:   result{ok, nobody},
			Return:   d.end,
		})
	}
	finish(o, history)
	return history, nil
}
