package sync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A lock word is 32 bits:
//
//	31      W  somebody may sleep on it
//	30      A  abandoned: a holder died, and nobody has marked it consistent since
//	29..0   the holder's roster id; 0 = nobody
//
// The steps, with the numbers of the probe points. me is this process's id,
// L[p] the liveness word of process p.
//
//	Lock     1  CAS word 0 -> me                           the fast path
//	         2  w = word
//	         3  no owner:      CAS w -> me | A(w) | (W(w) or slept ? W : 0)
//	         4  dead owner:    CAS w -> me | W | A;  5 fence
//	         6  no W:          CAS w -> w | W, else 2
//	         7  sleep while word == w|W, L[owner] as seen, not cancelled; at most 100 ms
//	         8  slept; if the owner is dead, wake the others who watch it; 2
//	Mark     9  CAS away A
//	Unlock  10  CAS me -> 0                                the fast path
//	        11  CAS w -> w & A
//	        12  W(w): wake one
//	Cancel  13  no owner: wake one; no W: set it
//
// Invariant: a process sleeps on the word only while the word has W and an
// owner. The owner, letting go, finds W and wakes one; or it dies, and the
// kernel wakes one who watches it, who wakes the rest.
//
// Why the sleep is bounded: a woken sleeper can itself be killed before it acts
// on its wake, and a sleeper can be left watching an owner that has let go.
// With one crash either strands the others, whichever word they watch, short of
// all of them. The bound makes each of these a delay of 100 ms at most. Without
// a crash no wait ever runs into it.
//
// Why 4 sets W, 3 passes W on after a sleep, and 8 wakes the rest: L serves all
// locks, so the kernel's one wake may reach a sleeper of another lock; who
// takes the lock from a dead owner must assume that others sleep.
//
// Why unlocking is a CAS and never a store: a late thread of a dead owner must
// not free somebody else's lock.
//
// The protocol was checked by exhaustive model checking with up to two crashes;
// see docs/protocol.md.
const (
	wordW = 1 << 31
	wordA = 1 << 30
)

// longestSleep is part of the protocol, not a comfort.
const longestSleep = 100 * time.Millisecond

func ownerOf(w uint32) roster.ID { return roster.ID(w & roster.Mask) }

// holds reports whether acquire took the lock although it returned err.
func holds(err error) bool { return errors.Is(err, ErrOwnerDied) }

// acquire takes the lock: steps 2 to 8 and 13.
func acquire(ctx context.Context, word *atomic.Uint32) error {
	me, err := roster.Join()
	if err != nil {
		return fmt.Errorf("psync: %w", err)
	}
	seen, err := take(word, me, false)
	if seen.held {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if spin(word, me) {
		return nil
	}
	gate, err := enterGate(ctx, word)
	if err != nil {
		return err
	}
	defer gate.leave()

	s := newSleeper(ctx)
	defer s.stop()
	for {
		seen, err := take(word, me, s.slept)
		if seen.held {
			return err
		}
		if err := ctx.Err(); err != nil {
			if s.slept {
				giveBack(word)
			}
			return err
		}
		probe.At(probe.Lock6)
		if seen.word&wordW == 0 && !word.CompareAndSwap(seen.word, seen.word|wordW) {
			continue
		}
		probe.At(probe.Lock7)
		s.sleep(word, seen.word|wordW, seen.owner)
		probe.At(probe.Lock8)
		seen.owner.PassOn()
	}
}

// A sighting is what stands in the way of a lock: the word, and its living
// owner. Or nothing: the lock is held.
type sighting struct {
	held  bool
	word  uint32
	owner roster.Sight
}

// take does steps 2 to 5. With the lock held, the error says whether a holder
// had died.
func take(word *atomic.Uint32, me roster.ID, slept bool) (sighting, error) {
	for {
		probe.At(probe.Lock2)
		w := word.Load()
		id := ownerOf(w)
		if id == 0 {
			next := uint32(me) | w
			if slept {
				next |= wordW
			}
			probe.At(probe.Lock3)
			if !word.CompareAndSwap(w, next) {
				continue
			}
			probe.At(probe.Locked)
			if w&wordA != 0 {
				return sighting{held: true}, &OwnerDiedError{}
			}
			return sighting{held: true}, nil
		}
		owner := roster.Look(id)
		if owner.Alive {
			return sighting{word: w, owner: owner}, nil
		}
		probe.At(probe.Lock4)
		if word.CompareAndSwap(w, uint32(me)|wordW|wordA) {
			probe.At(probe.Lock5)
			roster.Fence(id)
			probe.At(probe.Locked)
			return sighting{held: true}, &OwnerDiedError{Pid: owner.Pid}
		}
	}
}

// giveBack is step 13: a sleeper that gives up may have eaten the wake of an
// unlock, so it leaves only once somebody else is sure to be woken.
func giveBack(word *atomic.Uint32) {
	for {
		probe.At(probe.Lock13)
		w := word.Load()
		if ownerOf(w) == 0 {
			futex.Wake(word, 1)
			return
		}
		if w&wordW != 0 || word.CompareAndSwap(w, w|wordW) {
			return
		}
	}
}

// release does steps 11 and 12.
func release(word *atomic.Uint32, me roster.ID) {
	for {
		w := word.Load()
		if ownerOf(w) != me {
			panic(misuse("Unlock", word)) // another goroutine let go between the caller's look and ours
		}
		probe.At(probe.Lock11)
		if !word.CompareAndSwap(w, w&wordA) {
			continue
		}
		probe.At(probe.Lock12)
		if w&wordW != 0 {
			futex.Wake(word, 1)
		}
		return
	}
}

func tryLock(word *atomic.Uint32) bool {
	me, err := roster.Join()
	if err != nil {
		panic(fmt.Errorf("psync: %w", err))
	}
	return word.CompareAndSwap(0, uint32(me))
}

// markConsistent is step 9.
func markConsistent(word *atomic.Uint32) {
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

func holder(word *atomic.Uint32) (pid int, held bool) {
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
func misuse(op string, word *atomic.Uint32) string {
	pid, held := holder(word)
	if !held {
		return fmt.Sprintf("psync: %s of an unlocked lock by process %d", op, os.Getpid())
	}
	return fmt.Sprintf("psync: %s by process %d of a lock held by process %d", op, os.Getpid(), pid)
}
