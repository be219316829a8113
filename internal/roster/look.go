package roster

import (
	"context"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/futex"
)

// A Sight is what one look at a process showed.
type Sight struct {
	Alive bool
	Pid   int // 0 if the process is dead and its slot was claimed anew

	// Word is the process's liveness word and Seen the value that it had. A
	// sleeper that depends on the process watches Word for another value than
	// Seen. Valid while Alive.
	Word *atomic.Uint32
	Seen uint32

	// Unwatched means that the kernel does not mark this process's death: look
	// again every futex.PollInterval.
	Unwatched bool
}

// Look judges whether the process id is alive. An id that never existed, as a
// damaged word may contain, is as good as dead.
//
// L is read before the generation: if a new owner claims the slot in between,
// the generation is the new one and id is rightly dead. Between a claimer's
// steps 22 and 23 the earlier owner looks alive; the claimer then wakes who
// sleeps on that already, and the sleep's bound covers who goes to sleep later.
func Look(id ID) Sight {
	s := slotOf(id)
	if s == nil {
		return Sight{}
	}
	live := s.live.Load()
	pid := int(s.pid.Load())
	if s.generation.Load()&genMask != id.generation() {
		return Sight{}
	}
	if !s.alive(live) {
		return Sight{Pid: pid}
	}
	return Sight{Alive: true, Pid: pid, Word: &s.live, Seen: live, Unwatched: live&waiters == 0}
}

// PassOn wakes everybody else who sleeps on the liveness word, if its process
// is dead now. The kernel wakes one sleeper, and that one may have been waiting
// for something else, or may die before it acts.
func (s Sight) PassOn() {
	if live := s.Word.Load(); live != s.Seen || live&ownerDied != 0 {
		futex.Wake(s.Word, futex.All)
	}
}

// Fence returns when no thread of the dead process id runs any more or sits in
// a system call that writes into shared memory. Writes that were handed to a
// device before (O_DIRECT, io_uring) can land later still.
//
// It returns the context's error if that ends first, which happens only if a
// thread of the dead process sits in a system call that takes long to end.
func Fence(ctx context.Context, id ID) error { return fence(ctx, former(id)) }

// former returns what a fence must know of the dead process id. The pid is 0 if there
// is nothing to wait for: who claimed the slot anew has fenced already.
func former(id ID) owner {
	s := slotOf(id)
	if s == nil {
		return owner{}
	}
	o := s.owner() // before the generation: a new owner writes it after that
	if s.generation.Load()&genMask != id.generation() {
		return owner{}
	}
	return o
}

func slotOf(id ID) *slot {
	t := joined.Load()
	if i := id.index(); i >= 0 && i < len(t.slots) {
		return &t.slots[i]
	}
	return nil
}
