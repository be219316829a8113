package roster

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// ErrFull is the error of a process that finds every slot taken by the living.
var ErrFull = fmt.Errorf("%w: all of its slots belong to living processes", ErrRoster)

// claim takes a slot for this process. It must run on the keeper's thread,
// which the kernel will hold responsible for the slot's liveness word.
//
// A kill at any step leaves a slot that is free or that the kernel marks: from
// step 21 on the node is pending, and the kernel marks the word of a pending
// node exactly if it holds the dying thread's id. Of two claimers of one slot
// one wins step 22; only the winner touches anything else in the slot.
//
// The first time round it passes over slots whose earlier owner has still to stop:
// who has won one of these waits, and meanwhile the earlier owner looks alive.
func (t *table) claim() (id ID, err error) {
	list, err := newRobustList()
	if err != nil {
		return 0, fmt.Errorf("map robust list: %w", err)
	}
	defer func() {
		if err != nil {
			list.drop()
		}
	}()
	live := uint32(unix.Gettid())
	if list.register() == nil { // else an old seccomp profile
		live |= waiters
	}

	n := uint32(len(t.slots))
	first := t.header.cursor.Add(1) - 1
	for i := range 2 * n {
		probe.At(probe.Claim20)
		index := int((first%n + i) % n)
		s := &t.slots[index]
		seen := s.live.Load()
		if s.alive(seen) || i < n && !s.stopped() {
			continue
		}
		list.aim(&s.live)
		probe.At(probe.Claim21)
		list.pending.Store(list.node())
		probe.At(probe.Claim22)
		if !s.live.CompareAndSwap(seen, live) {
			list.pending.Store(0)
			continue
		}
		// Its threads may outlive its mark by a moment, and it may be another than
		// the one before 21. Who finds a slot's generation changed may rely on the
		// earlier owner having gone.
		_ = fence(context.Background(), s.owner()) // that context never ends
		probe.At(probe.Claim23)
		generation := s.generation.Add(1)
		futex.Wake(&s.live, futex.All) // who looked between 22 and 23 took us for the earlier owner
		probe.At(probe.Claim24)
		self, _ := readStat(fmt.Sprintf("/proc/%d/stat", os.Getpid())) // zero without /proc
		s.pid.Store(uint32(os.Getpid()))
		s.start.Store(self.start)
		s.stack.Store(self.stack)
		probe.At(probe.Claim25)
		list.next.Store(list.node())
		probe.At(probe.Claim26)
		list.pending.Store(0)
		return makeID(index, generation), nil
	}
	return 0, fmt.Errorf("%w: %d", ErrFull, n)
}

// stopped reports whether no thread of the dead owner runs any more.
func (s *slot) stopped() bool {
	ended, end := context.WithCancel(context.Background())
	end()
	return fence(ended, s.owner()) == nil
}

// alive judges the slot's present owner by the value of its liveness word. The
// kernel cannot mark the word of an owner that it does not watch; such an owner
// is looked up by its pid. (So it looks dead until its step 24, and in a roster
// that is nearly full another claimer could take its slot: the price of a
// profile that refuses robust lists.)
func (s *slot) alive(live uint32) bool {
	if live&ownerDied != 0 || live&tidMask == 0 {
		return false
	}
	if live&waiters == 0 {
		return exists(int(s.pid.Load()), s.start.Load())
	}
	return true
}
