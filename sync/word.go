package sync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// A lock is 64 bits, changed by one CAS each time:
//
//	63..32  heir: the roster id of a process that has waited too long; 0 = nobody
//	31      W  somebody may sleep on it
//	30      A  abandoned: a holder died, and nobody has marked it consistent since
//	29..0   the holder's roster id; 0 = nobody
//
// The steps, with the numbers of the probe points. me is this process's id,
// L[p] the liveness word of process p.
//
//	Lock     1  CAS 0 -> me                                the fast path
//	         2  w = word
//	         3  no owner, and no heir, or the heir is me, dead or late:
//	            CAS w -> me | A(w) | (W(w) or slept ? W : 0), no heir
//	         4  dead owner:    5 fence, then CAS w -> me | W | A
//	         6  no W, or I starve and there is no heir:
//	            CAS w -> w | W, I starve ? heir = me;  else 2
//	         7  sleep while word == w|W, L[owner, else heir] as seen, not cancelled; at most 100 ms
//	         8  slept; if the owner is dead, wake the others who watch it; 2
//	Mark     9  CAS away A
//	Unlock  10  CAS me -> 0                                the fast path
//	        11  no heir: CAS w -> w & A;  heir: CAS w -> w & (W | A), the heir stays
//	        12  heir: wake it;  W(w), and no heir or it was not asleep: wake one
//	Cancel  13  the heir is me: CAS away heir and W;  then no owner: wake one; no W: set it
//
// Invariant: a process sleeps only while the word has W, and an owner or an
// heir. The owner, letting go, finds W and wakes one; or it dies, and the
// kernel wakes one who watches it, who wakes the rest. The same goes for an
// heir that holds up a free lock.
//
// Why the sleep is bounded: a woken sleeper can itself be killed before it acts
// on its wake, and a sleeper can be left watching an owner that has let go.
// With one crash either strands the others, whichever word they watch, short of
// all of them. The bound makes each of these a delay of 100 ms at most. A woken
// sleeper that is stopped does the same. Without a crash or a stop no wait ever
// runs into it.
//
// Why 4 sets W, 3 passes W on after a sleep, and 8 wakes the rest: L serves all
// locks, so the kernel's one wake may reach a sleeper of another lock; who
// takes the lock from a dead owner must assume that others sleep.
//
// Why the fence comes before the CAS: who takes the lock first and dies in the
// fence is fenced itself by the next one, and the earlier owner by nobody.
//
// Why unlocking is a CAS and never a store: a late thread of a dead owner must
// not free somebody else's lock.
//
// Why an heir: whoever runs takes a free lock before a sleeper is awake, which
// is fast, and with long holds starves the sleeper. Who has waited for a
// millisecond therefore has the lock kept for it. That is a favour and no
// promise: ownership is decided by the CAS alone, so an heir that is dead, or
// has not come for its lock after 5 ms because it was stopped, is passed over.
//
// The protocol was checked by exhaustive model checking; see docs/specs.
const (
	wordW = 1 << 31
	wordA = 1 << 30

	heirShift = 32
)

const (
	// longestSleep is part of the protocol, not a comfort.
	longestSleep = 100 * time.Millisecond

	// starvation is how long a wait may last before the lock is kept for the
	// waiter; as in Go's own Mutex.
	starvation = time.Millisecond

	// lateThread is how long a sleep lasts at most that a thread of a dead process
	// may make pointless without a wake.
	lateThread = 10 * time.Millisecond

	// reservation is how long a free lock is kept for an heir.
	reservation = 5 * time.Millisecond
)

// lockBudget is how long it pays to look at a held lock before sleeping.
var lockBudget spin.Budget

func ownerOf(w uint64) roster.ID { return roster.ID(w & roster.Mask) }
func heirOf(w uint64) roster.ID  { return roster.ID(w >> heirShift & roster.Mask) }

// withHeir returns w with another heir.
func withHeir(w uint64, heir roster.ID) uint64 { return w&(1<<heirShift-1) | uint64(heir)<<heirShift }

// holds reports whether acquire took the lock although it returned err.
func holds(err error) bool { return errors.Is(err, ErrOwnerDied) }

// acquire takes the lock: steps 2 to 8 and 13.
func acquire(ctx context.Context, word *atomic.Uint64) error {
	return acquireFrom(ctx, word, roster.Fence)
}

// acquireFrom is acquire with another fence to pass before the lock is taken from a
// dead owner.
func acquireFrom(ctx context.Context, word *atomic.Uint64, fence func(context.Context, roster.ID) error) error {
	me, err := roster.Join()
	if err != nil {
		return fmt.Errorf("psync: %w", err)
	}
	a := attempt{word: word, me: me, fence: fence}
	seen, err := a.take(ctx)
	if seen.held || err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if lockBudget.Until(func() bool { return word.Load() == 0 && word.CompareAndSwap(0, uint64(me)) }) {
		return nil
	}
	gate, err := enterGate(ctx, lowHalf(word))
	if err != nil {
		return err
	}
	defer gate.leave()

	s := await.New(ctx)
	defer s.Stop()
	for {
		seen, err := a.take(ctx)
		if seen.held {
			return err
		}
		if err := ctx.Err(); err != nil {
			a.giveUp()
			return err
		}
		starving := s.Waited() >= starvation
		next := seen.word | wordW
		if starving && heirOf(seen.word) == 0 {
			next = withHeir(next, me)
		}
		probe.At(probe.Lock6)
		if next != seen.word && !word.CompareAndSwap(seen.word, next) {
			continue
		}
		a.heir = heirOf(next) == me
		bound := longestSleep
		if ownerOf(next) == 0 {
			bound = reservation
		}
		probe.At(probe.Lock7)
		sleep(s, word, next, a.heir, seen.blocker, bound)
		a.slept = true
		probe.At(probe.Lock8)
		s.PassOn()
	}
}

// An attempt is one goroutine's way to one lock.
type attempt struct {
	word  *atomic.Uint64
	me    roster.ID
	fence func(context.Context, roster.ID) error
	slept bool // it may have consumed a wake
	heir  bool // it asked to have the lock kept for it

	// The last sight of a free lock that is kept for another, and since when.
	kept      uint64
	keptSince time.Time
}

// A sighting is what stands in the way of a lock: its word, and the living
// process that has it or is to have it. Or nothing: the lock is held.
type sighting struct {
	held    bool
	word    uint64
	blocker roster.Sight
}

// take does steps 2 to 5. With the lock held, the error says whether a holder
// had died; without it, that ctx ended while a dead one still stopped.
func (a *attempt) take(ctx context.Context) (sighting, error) {
	for {
		probe.At(probe.Lock2)
		w := a.word.Load()
		if id := ownerOf(w); id != 0 {
			owner := roster.Look(id)
			if owner.Alive {
				return sighting{word: w, blocker: owner}, nil
			}
			probe.At(probe.Lock5)
			if err := a.fence(ctx, id); err != nil {
				return sighting{}, err
			}
			next := withHeir(uint64(a.me)|wordW|wordA, a.next(w))
			probe.At(probe.Lock4)
			if a.word.CompareAndSwap(w, next) {
				probe.At(probe.Locked)
				return sighting{held: true}, &OwnerDiedError{Pid: owner.Pid}
			}
			continue
		}
		next := uint64(a.me) | w&(wordA|wordW)
		if a.slept {
			next |= wordW
		}
		if id := a.next(w); id != 0 {
			heir := roster.Look(id)
			if heir.Alive && !a.late(w) {
				return sighting{word: w, blocker: heir}, nil
			}
			next |= wordW // others may be waiting for the heir to take it
		}
		probe.At(probe.Lock3)
		if !a.word.CompareAndSwap(w, next) {
			continue
		}
		probe.At(probe.Locked)
		if w&wordA != 0 {
			return sighting{held: true}, &OwnerDiedError{}
		}
		return sighting{held: true}, nil
	}
}

// next returns the heir of w, if it is somebody else than this attempt.
func (a *attempt) next(w uint64) roster.ID {
	if id := heirOf(w); id != a.me || !a.heir {
		return id
	}
	return 0
}

// late reports whether the free lock w has been kept too long for its heir.
func (a *attempt) late(w uint64) bool {
	if w != a.kept {
		a.kept, a.keptSince = w, time.Now()
	}
	return time.Since(a.keptSince) >= reservation
}

// giveUp is step 13: who gives up may have consumed the wake of an unlock, and
// may be the heir, so it leaves only once somebody else is sure to be woken.
func (a *attempt) giveUp() {
	if !a.slept {
		return
	}
	for {
		probe.At(probe.Lock13)
		w := a.word.Load()
		next := w
		if a.heir && heirOf(w) == a.me {
			next = withHeir(w&^wordW, 0)
		}
		if ownerOf(w) != 0 {
			next |= wordW
		}
		if next != w && !a.word.CompareAndSwap(w, next) {
			continue
		}
		if ownerOf(w) == 0 {
			futex.Wake(lowHalf(a.word), 1)
		}
		return
	}
}

// release does steps 11 and 12.
func release(word *atomic.Uint64, me roster.ID) {
	for {
		w := word.Load()
		if ownerOf(w) != me {
			panic(misuse("Unlock", word)) // another goroutine let go between the caller's look and ours
		}
		heir := heirOf(w)
		next := w & wordA
		if heir != 0 {
			next = withHeir(w&(wordW|wordA), heir)
		}
		probe.At(probe.Lock11)
		if !word.CompareAndSwap(w, next) {
			continue
		}
		probe.At(probe.Lock12)
		if heir != 0 && futex.Wake(highHalf(word), 1) > 0 {
			return
		}
		if w&wordW != 0 {
			futex.Wake(lowHalf(word), 1)
		}
		return
	}
}

// tryLock takes the lock if it is free, unmarked, and not kept for a living
// heir.
func tryLock(word *atomic.Uint64) bool {
	me, err := roster.Join()
	if err != nil {
		panic(fmt.Errorf("psync: %w", err))
	}
	if word.CompareAndSwap(0, uint64(me)) {
		return true
	}
	w := word.Load()
	if ownerOf(w) != 0 || w&wordA != 0 || heirOf(w) != 0 && roster.Look(heirOf(w)).Alive {
		return false
	}
	return word.CompareAndSwap(w, uint64(me)|wordW)
}

// markConsistent is step 9.
func markConsistent(word *atomic.Uint64) {
	for {
		w := word.Load()
		if me := roster.Me(); me == 0 || ownerOf(w) != me {
			panic(misuse("MarkConsistent", word))
		}
		probe.At(probe.Lock9)
		if w&wordA == 0 || word.CompareAndSwap(w, w&^wordA) {
			return
		}
	}
}

func holder(word *atomic.Uint64) (pid int, held bool) {
	id := ownerOf(word.Load())
	if id == 0 {
		return 0, false
	}
	if _, err := roster.Join(); err != nil {
		return 0, true
	}
	return roster.Look(id).Pid, true
}

// misuse describes an operation by who does not hold the lock.
func misuse(op string, word *atomic.Uint64) string {
	pid, held := holder(word)
	if !held {
		return fmt.Sprintf("psync: %s of an unlocked lock by process %d", op, os.Getpid())
	}
	return fmt.Sprintf("psync: %s by process %d of a lock held by process %d", op, os.Getpid(), pid)
}
