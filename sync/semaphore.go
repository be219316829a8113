package sync

import (
	"context"
	"errors"
	"fmt"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// MaxPermits is the largest number of permits in a [Semaphore], as in POSIX.
const MaxPermits = 1<<31 - 1

// ErrTooMany says that a semaphore cannot have, or a process does not hold, as
// many permits as were asked for or released.
var ErrTooMany = errors.New("too many permits")

// A Semaphore is a number of permits shared by processes. Whoever wants some and
// finds fewer waits until others release them. The zero value has none.
//
// A permit belongs to nobody: any process may release what another acquired, or
// what nobody did. So the permits that a process has when it dies are gone, as
// with sem_t; where they must come back, use a [BoundedSemaphore]. A process that
// dies while it waits holds up nobody; one that is stopped while it is first in line
// holds up those behind it.
//
// Who has to wait stands in line, and only the first looks at the permits:
// smaller requests do not overtake a larger one for ever. The line is a lock
// like [Mutex]: one who runs may come before one who must first wake up, until
// that has waited for a millisecond.
//
// Layout, version 1, 24 bytes, the processor's byte order; see the steps below:
//
//	off size field
//	  0    8 state    max, LINE, permits
//	  8    8 turn     lock word of the line
//	 16    4 initial  permits that Init put in, + 1; 0 = no Init
//	 20    4 giver    roster id of who puts permits in, or did last; the first's second futex
type Semaphore struct {
	_       structs.HostLayout
	state   atomic.Uint64
	turn    atomic.Uint64
	initial atomic.Uint32
	giver   atomic.Uint32
}

// The state is 64 bits, changed by one CAS each time:
//
//	63..32  max      the largest number of permits; 0 = no Init: MaxPermits
//	31      LINE     somebody is first in line, or will be: newcomers go there, and a release wakes
//	30..0   permits  how many there are now; with LINE the futex on which the first sleeps
//
// The steps, with the numbers of the probe points:
//
//	Acquire  231  no LINE, permits >= n: CAS permits - n                    the fast path
//	         232  Lock(turn), without 5; a dead owner is fine: there is nothing to repair
//	         233  permits >= n: CAS permits - n; 236
//	         234  no LINE: CAS on LINE
//	         235  sleep while permits and LINE are as seen, giver as before that, L[giver]
//	              as seen, not cancelled; at most 100 ms, 10 ms while threads of a dead
//	              giver still run; 233
//	         236  CAS away LINE, unless somebody waits for turn;  Unlock(turn)
//	Release  237  no LINE: CAS permits + n;  over max: ErrTooMany
//	         238  LINE: giver is another: giver = me, wake;  CAS permits + n
//	         239  wake one
//
// Invariant: only who has turn sleeps on the permits, and only with LINE. So one
// wake reaches it, whatever number was released. Who has turn after it, because
// it died or gave up, looks at the permits before it sleeps: no wake is needed
// that it may have consumed.
//
// LINE may stay when nobody waits any more. Then the next one who comes takes
// turn, and CASes LINE away.
//
// Why giver: a process that is killed between 238 and 239 has woken nobody. The
// first watches it, or is woken to watch it. The sleep is bounded for the death of one
// whose name another has replaced between its look at giver and its CAS, see
// docs/protocol.md; and for what a late thread of a dead first does, see line.go.
const (
	semaphoreLine    = 1 << 31
	semaphorePermits = MaxPermits

	semaphoreMaxShift = 32
)

// semaphoreBudget is how long it pays to look at permits before sleeping.
var semaphoreBudget spin.Budget

// Init puts permits into s, which is zero, and sets the largest number that
// there may ever be: max, or [MaxPermits] if that is 0. Each process may call it:
// what was set up already, with the same numbers, is left as it is. It is an
// error if the numbers are others, impossible, or come when a Release has put
// permits in. Who waits already gets its permits.
func (s *Semaphore) Init(permits, max int) error {
	if max == 0 {
		max = MaxPermits
	}
	if max < 0 || max > MaxPermits || permits < 0 || permits > max {
		return fmt.Errorf("psync: a semaphore cannot have %d permits of at most %d", permits, max)
	}
	for mark := uint32(permits) + 1; ; {
		w := s.state.Load()
		set := w >> semaphoreMaxShift
		if set == 0 && w&semaphorePermits != 0 {
			return fmt.Errorf("psync: the semaphore has been in use before Init, which found permits in it: %d", w&semaphorePermits)
		}
		// First who sets up, then what: there is a max after that.
		if !s.initial.CompareAndSwap(0, mark) && s.initial.Load() != mark {
			return fmt.Errorf("psync: the semaphore was set up with %d permits, not %d", s.initial.Load()-1, permits)
		}
		switch {
		case set == uint64(max):
			return nil
		case set != 0:
			return fmt.Errorf("psync: the semaphore was set up for at most %d permits, not %d", set, max)
		case s.put(w, w|uint64(max)<<semaphoreMaxShift|uint64(permits)):
			return nil
		}
	}
}

// Acquire takes n permits, all at once, and waits for them as long as it takes.
// It returns
//
//   - nil: the permits are taken;
//   - an error that matches [ErrTooMany], at once, if there can never be n;
//   - the context's error, or one about the roster of processes: none is taken.
//
// With a context that has already ended it is a TryAcquire. It panics if n is
// negative; 0 permits are there always.
func (s *Semaphore) Acquire(ctx context.Context, n int) error {
	if probe.Enabled {
		probe.At(probe.Sem231)
	}
	if n <= 0 || !s.take(uint64(n), semaphoreLine) {
		return s.acquireSlow(ctx, n)
	}
	if check.Race {
		check.Acquire(&s.state)
	}
	return nil
}

// TryAcquire takes n permits if they are there and nobody stands in line, or is
// about to leave it, and never waits. It panics if n is negative, or this process
// cannot join the roster of processes, which it must to see whether somebody waits.
func (s *Semaphore) TryAcquire(n int) bool {
	if n > 0 && s.take(uint64(n), semaphoreLine) {
		check.Acquire(&s.state)
		return true
	}
	if n > 0 && s.state.Load()&semaphoreLine == 0 {
		return false
	}
	err := s.acquireSlow(ended, n)
	return !errors.Is(err, ErrTooMany) && succeeded(err)
}

// Release puts n permits into s, whoever took them. It returns an error that
// matches [ErrTooMany], and puts in none, if there would be more than the largest
// number; that is exact between processes. It panics if n is negative.
func (s *Semaphore) Release(n int) error {
	mustNotBeNegative("Release", n)
	if n == 0 {
		return nil
	}
	if check.Race {
		check.Release(&s.state)
	}
	if probe.Enabled {
		probe.At(probe.Sem237)
	}
	for {
		w := s.state.Load()
		if w&semaphorePermits+uint64(n) > s.max() {
			return fmt.Errorf("psync: Release(%d) into a semaphore that has %d permits of at most %d: %w", n, w&semaphorePermits, s.max(), ErrTooMany)
		}
		if s.put(w, w+uint64(n)) {
			return nil
		}
	}
}

// put changes the state w to next, which has more permits. It reports false if
// another was faster.
func (s *Semaphore) put(w, next uint64) bool {
	if w&semaphoreLine != 0 {
		return s.give(w, next)
	}
	return s.state.CompareAndSwap(w, next)
}

// give is steps 238 and 239. A process that cannot join the roster has no name to
// leave, and gives without.
func (s *Semaphore) give(w, next uint64) bool {
	if me, err := roster.Join(); err == nil && s.giver.Load() != uint32(me) {
		s.giver.Store(uint32(me))
		futex.Wake(&s.giver, 1)
	}
	probe.At(probe.Sem238)
	if !s.state.CompareAndSwap(w, next) {
		return false
	}
	probe.At(probe.Sem239)
	futex.Wake(lowHalf(&s.state), 1)
	return true
}

// Value returns how many permits there are. The answer may be out of date when
// it arrives.
func (s *Semaphore) Value() int { return int(s.state.Load() & semaphorePermits) }

// max returns the largest number of permits. It is no more than MaxPermits,
// whatever the memory says.
func (s *Semaphore) max() uint64 {
	if max := s.state.Load() >> semaphoreMaxShift; max != 0 && max < MaxPermits {
		return max
	}
	return MaxPermits
}

// take is 231 and 233: it takes n permits if they are there, and nothing of
// unless stands in the state.
func (s *Semaphore) take(n, unless uint64) bool {
	for {
		w := s.state.Load()
		if w&unless != 0 || w&semaphorePermits < n {
			return false
		}
		if s.state.CompareAndSwap(w, w-n) {
			return true
		}
	}
}

// acquireSlow is steps 232 to 236.
//
//go:noinline
func (s *Semaphore) acquireSlow(ctx context.Context, n int) error {
	mustNotBeNegative("Acquire", n)
	if n == 0 {
		return nil
	}
	if err := s.possible(uint64(n)); err != nil {
		return err
	}
	probe.At(probe.Sem232)
	if err := enterLine(ctx, &s.turn); err != nil {
		return err
	}
	err := s.awaitPermits(ctx, uint64(n))
	s.leave()
	if err == nil {
		check.Acquire(&s.state)
	}
	return err
}

// possible tells whether there can ever be n permits.
func (s *Semaphore) possible(n uint64) error {
	if max := s.max(); n > max {
		return fmt.Errorf("psync: Acquire(%d) from a semaphore of at most %d permits: %w", n, max, ErrTooMany)
	}
	return nil
}

// awaitPermits is steps 233 to 235, with turn held.
func (s *Semaphore) awaitPermits(ctx context.Context, n uint64) error {
	probe.At(probe.Sem233)
	if s.take(n, 0) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if semaphoreBudget.Until(func() bool { return s.take(n, 0) }) {
		return nil
	}
	sleeper := await.New(ctx)
	defer sleeper.Stop()
	for {
		probe.At(probe.Sem233)
		if s.take(n, 0) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.possible(n); err != nil { // there was no max before Init
			return err
		}
		giver := s.giver.Load() // before the state: who has changed that since is watched
		w := s.state.Load()
		if w&semaphorePermits >= n {
			continue
		}
		probe.At(probe.Sem234)
		if !s.state.CompareAndSwap(w, w|semaphoreLine) {
			continue
		}
		probe.At(probe.Sem235)
		sleeper.Watch(lowHalf(&s.state), uint32(w|semaphoreLine))
		sleeper.Watch(&s.giver, giver)
		bound := longestSleep
		id := ownerOf(uint64(giver))
		switch sight := roster.Look(id); {
		case sight.Alive:
			sleeper.WatchLife(sight)
		case roster.Fence(ended, id) != nil: // its last thread may do 238 yet, and never 239
			bound = lateThread
		}
		sleeper.Sleep(bound)
		sleeper.PassOn()
	}
}

// leave is step 236.
func (s *Semaphore) leave() {
	probe.At(probe.Sem236)
	for w := s.state.Load(); w&semaphoreLine != 0 && !lineFollows(&s.turn); w = s.state.Load() {
		if s.state.CompareAndSwap(w, w&^semaphoreLine) {
			break
		}
	}
	leaveLine(&s.turn)
}

// mustNotBeNegative panics if n is.
func mustNotBeNegative(op string, n int) {
	if n < 0 {
		panic(fmt.Sprintf("psync: %s(%d): a number of permits is not negative", op, n))
	}
}
