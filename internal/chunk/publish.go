package chunk

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// What follows is for the parent, one goroutine at a time, except Kick.

// Arguments returns an empty slice with room for the records of a slot's
// arguments. The slot must be free.
func (b *Board) Arguments(slot int) []byte {
	return b.arguments(slot)[headSize:headSize]
}

// Published returns the arguments of a slot that was published.
func (b *Board) Published(slot int) []byte { return b.arguments(slot)[headSize:] }

// CanPublish reports whether the ring has room.
func (b *Board) CanPublish() bool {
	if b.pending-b.passed >= ringSize {
		b.passed = b.words.head.Load() // each look takes the line away from the workers
	}
	return b.pending-b.passed < ringSize
}

// Publish offers a free slot, whose arguments were written, to the workers, who
// are told of it by Announce: steps 102 and 103.
func (b *Board) Publish(slot int, tag uint32, h Head) {
	*headOf(b.arguments(slot)) = h
	probe.At(probe.Publish102)
	b.words.slots[slot].word.Store(uint64(NewWord(Ready, 0, 0, int(h.Items), tag)))
	probe.At(probe.Publish103)
	b.words.ring[b.pending%ringSize].Store(uint32(slot))
	b.pending++
}

// Announce tells of what was published: step 104. The caller goes on with 105.
func (b *Board) Announce() {
	probe.At(probe.Publish104)
	b.words.tail.Swap(b.pending) // a fence: a worker that sleeps now was seen, or sees this
	probe.At(probe.Publish105)
}

// WakeOne wakes a worker that sleeps, and reports whether there was one.
func (b *Board) WakeOne() bool {
	for i := range b.words.asleep {
		group := &b.words.asleep[i]
		for {
			sleepers := group.Load()
			if sleepers == 0 {
				break
			}
			w := bits.TrailingZeros64(sleepers)
			if group.And(^(uint64(1)<<w))&(1<<w) == 0 {
				continue // it woke by itself
			}
			r := &b.words.workers[64*i+w]
			r.park.Swap(1)
			futex.Wake(&r.park, 1)
			return true
		}
	}
	return false
}

// Asleep returns how many workers sleep.
func (b *Board) Asleep() (n int) {
	for i := range b.words.asleep {
		n += bits.OnesCount64(b.words.asleep[i].Load())
	}
	return n
}

// Dismiss asks a worker to leave after the item that it has in hand.
func (b *Board) Dismiss(worker int) {
	r := &b.words.workers[worker]
	r.leave.Swap(1)
	r.park.Swap(1)
	futex.Wake(&r.park, 1)
}

// Forget is step 154: the index of a worker that has died is free for another.
func (b *Board) Forget(worker int) {
	b.words.asleep[worker/64].And(^(uint64(1) << (worker % 64)))
	r := &b.words.workers[worker]
	r.leave.Store(0)
	r.park.Store(0)
	r.began.Store(0)
}

// Finished calls f for each slot of which a worker has said that there is
// something to collect: step 140.
func (b *Board) Finished(f func(slot int)) {
	for i := range b.words.finished {
		if b.words.finished[i].Load() == 0 {
			continue
		}
		for set := b.words.finished[i].Swap(0); set != 0; set &= set - 1 {
			f(64*i + bits.TrailingZeros64(set))
		}
	}
}

// AnyFinished reports whether there is such a slot.
func (b *Board) AnyFinished() bool {
	for i := range b.words.finished {
		if b.words.finished[i].Load() != 0 {
			return true
		}
	}
	return false
}

// Check returns an error if workers cannot have moved the ring's ends to where they
// are. Nothing may have been published that was not announced.
func (b *Board) Check() error {
	head, tail := b.words.head.Load(), b.words.tail.Load()
	if tail != b.pending || tail-head > ringSize {
		return fmt.Errorf("%w: the ring lies from %d to %d; %d chunks were published", ErrCorrupt, head, tail, b.pending)
	}
	return nil
}

// Look returns the word of a slot that was published with a tag and a number
// of items, those that were cut off aside, after checking that a worker can have
// come there.
func (b *Board) Look(slot int, tag uint32, items, taken, workers int) (Word, error) {
	w := Word(b.words.slots[slot].word.Load())
	ok := w.Tag() == tag && w.Limit() == items && w.Done() <= w.Limit() && w.Done() >= taken
	switch w.State() {
	case Ready:
		ok = ok && w.Done() == 0 && w.Worker() == 0
	case Running, Killed:
		ok = ok && w.Done() < w.Limit() && w.Worker() < workers
	case Done:
		ok = ok && w.Done() == w.Limit() && w.Worker() < workers
	case Stopped:
		ok = ok && w.Worker() < workers
	default:
		ok = false
	}
	if !ok {
		return w, fmt.Errorf("%w: slot %d: %v; it was published as chunk %d of %d items, %d of them delivered", ErrCorrupt, slot, w, tag, items, taken)
	}
	return w, nil
}

// Results returns the results of a slot, for Next: those of as many items as
// are committed, and perhaps more, which mean nothing.
func (b *Board) Results(slot int) []byte { return b.results(slot)[headSize:] }

// Took returns how long the worker of a slot that is done says it has taken.
func (b *Board) Took(slot int) time.Duration {
	return time.Duration(min(headOf(b.results(slot)).First, math.MaxInt64))
}

// Began returns when a worker began the item that it has in hand. It holds if
// the word is unchanged afterwards.
func (b *Board) Began(worker int) time.Duration {
	return time.Duration(b.words.workers[worker].began.Load())
}

// Counters are what a worker has counted, and those before it with its index: the
// time spent on chunks, without one, in the initialiser and in its
// counterpart.
type Counters struct{ Busy, Idle, Init, Exit time.Duration }

// Counters returns what a worker has counted.
func (b *Board) Counters(worker int) Counters {
	r := &b.words.workers[worker]
	return Counters{
		Busy: time.Duration(r.busy.Load()), Idle: time.Duration(r.idle.Load()),
		Init: time.Duration(r.init.Load()), Exit: time.Duration(r.exit.Load()),
	}
}

// Release makes a slot free: steps 142 and 153.
func (b *Board) Release(slot int) { b.words.slots[slot].word.Store(uint64(Free)) }

// Withdraw makes a slot free that nobody has claimed yet, and reports whether
// it could. Its entry stays in the ring.
func (b *Board) Withdraw(slot int, w Word) bool {
	return w.State() == Ready && b.words.slots[slot].word.CompareAndSwap(uint64(w), uint64(Free))
}

// Condemn is step 160: the verdict on the item in hand. It reports false if
// the worker has gone on.
func (b *Board) Condemn(slot int, w Word) bool {
	probe.At(probe.Verdict160)
	return b.words.slots[slot].word.CompareAndSwap(uint64(w), uint64(w.with(Killed, w.Worker(), w.Done())))
}

// Cut is step 163: the items from limit on are the parent's again. It reports
// false if the worker has gone on.
func (b *Board) Cut(slot int, w Word, limit int) bool {
	cut := NewWord(Running, w.Worker(), w.Done(), limit, w.Tag())
	probe.At(probe.Cut163)
	return b.words.slots[slot].word.CompareAndSwap(uint64(w), uint64(cut))
}

// Any as the argument of Pause means that each result is worth waking for.
const Any = math.MaxInt32

// Attended as the argument of Pause means that workers need not wake who pauses:
// another goroutine of the parent looks for results.
const Attended = 1 << 31

// Attend begins that during a pause. To workers the parent is awake then.
func (b *Board) Attend() {
	if need := b.words.need.Load(); need != 0 {
		b.words.need.CompareAndSwap(need, Attended)
	}
}

// Unattend ends it: steps 170 and 171 are the caller's, who looks once more. If
// it reports false, nobody pauses as Attended, and who is about to must not.
func (b *Board) Unattend() bool { return b.words.need.CompareAndSwap(Attended, Any) }

// Pause returns when fewer than n chunks are left to claim and something is
// finished, or all workers rest; after Kick; or after the bound, 0 meaning
// none: steps 170 to 172.
func (b *Board) Pause(n int, bound time.Duration, kicked *atomic.Bool) {
	ready := func() bool {
		return kicked.Load() || n != Attended && b.Backlog() < n && b.AnyFinished()
	}
	probe.At(probe.Pause170)
	need := &b.words.need
	need.Swap(uint32(n))
	probe.At(probe.Pause171)
	if !ready() {
		probe.At(probe.Pause172)
		var deadline futex.Deadline
		if bound > 0 {
			deadline = futex.After(bound)
		}
		_ = futex.Wait(need, uint32(n), deadline) // the word is mapped as long as the board is open
	}
	need.Swap(0)
	probe.At(probe.Pause173)
}

// Kick ends a pause, or the next one. It may be called by any goroutine.
func (b *Board) Kick(kicked *atomic.Bool) {
	kicked.Store(true)
	b.words.need.Swap(0)
	futex.Wake(&b.words.need, 1) // also if it was 0: who has made it that may have died before 120
}
