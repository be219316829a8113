package chunk

import (
	"context"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// A Worker is one process's place at a board.
type Worker struct {
	board  *Board
	index  int
	record *record
	clock  time.Duration // it was then a moment ago; 0: nobody knows
	claim  Claim         // the last one
}

// Worker returns the place with the given index.
func (b *Board) Worker(index int) *Worker {
	return &Worker{board: b, index: index, record: &b.words.workers[index]}
}

// CountInit adds to the time of the initialiser.
func (w *Worker) CountInit(d time.Duration) { w.record.init.Add(int64(d)) }

// CountExit adds to the time of its counterpart.
func (w *Worker) CountExit(d time.Duration) { w.record.exit.Add(int64(d)) }

// A Claim is a chunk that this worker has.
type Claim struct {
	Head           // what it is
	Args    []byte // its records
	worker  *Worker
	slot    int
	word    Word // as this worker sees it
	used    int  // bytes of results
	results []byte
	began   time.Duration
}

// Claim takes a chunk: steps 110 to 114. It reports false if there is none, or
// if this worker is to leave. The claim before is of no use any more.
func (w *Worker) Claim() (*Claim, bool) {
	b := w.board.words
	if w.clock == 0 {
		w.clock = Now()
	}
	for w.record.leave.Load() == 0 {
		probe.At(probe.Claim110)
		head := b.head.Load()
		if head == b.tail.Load() {
			return nil, false
		}
		probe.At(probe.Claim111)
		slot := int(b.ring[head%ringSize].Load()) % Slots
		word := Word(b.slots[slot].word.Load())
		probe.At(probe.Claim112)
		// The time is noted before the claim, without knowing the chunk: whoever
		// sees the claim sees it.
		w.record.began.Store(int64(w.clock))
		probe.At(probe.Claim113)
		mine := word.State() == Ready &&
			b.slots[slot].word.CompareAndSwap(uint64(word), uint64(word.with(Running, w.index, 0)))
		probe.At(probe.Claim114)
		b.head.CompareAndSwap(head, head+1)
		if mine {
			args := w.board.arguments(slot)
			w.claim = Claim{
				Head: *headOf(args), Args: args[headSize:], worker: w, slot: slot, began: w.clock,
				word: word.with(Running, w.index, 0), results: w.board.results(slot)[headSize:],
			}
			return &w.claim, true
		}
	}
	return nil, false
}

// Item returns the index, in the chunk, of the item in hand.
func (c *Claim) Item() int { return c.word.Done() }

// ID names the chunk, for the parent's messages about it.
func (c *Claim) ID() (slot int, tag uint32) { return c.slot, c.word.Tag() }

// Holds reports whether an item is in this worker's hand. It may be called by any
// goroutine.
func (w *Worker) Holds(slot int, tag uint32, item int) bool {
	word := Word(w.board.words.slots[slot].word.Load())
	return word == NewWord(Running, w.index, item, word.Limit(), tag)
}

// Fits reports whether a result of so many bytes finds room.
func (c *Claim) Fits(length int) bool {
	return Fits(c.used, length, c.word.Limit()-c.word.Done()-1)
}

// Write is step 116: the result of the item in hand, which must fit.
func (c *Claim) Write(kind Kind, data []byte) {
	probe.At(probe.Item116)
	c.used = len(Append(c.results[:c.used], kind, data))
}

// Commit is step 117: it commits the result that was written, and begins the
// next item. It reports false if there is none: the chunk is done, or given up
// because the worker is to leave. If condemned, the parent will kill this
// process.
func (c *Claim) Commit(leave bool) (more, condemned bool) {
	w := c.worker
	leave = leave || w.record.leave.Load() != 0
	if c.Flags&Timed != 0 {
		w.record.began.Store(int64(Now()))
	}
	word := &w.board.words.slots[c.slot].word
	for accounted := false; ; {
		done := c.word.Done() + 1
		next := c.word.next()
		switch {
		case done == c.word.Limit():
			next = c.word.with(Done, w.index, done)
		case leave:
			next = c.word.with(Stopped, w.index, done)
		}
		if next.State() != Running && !accounted {
			c.account()
			accounted = true
		}
		probe.At(probe.Item117)
		if word.CompareAndSwap(uint64(c.word), uint64(next)) {
			c.word = next
			break
		}
		now := Word(word.Load())
		if now.State() != Running {
			return false, true
		}
		c.word = now // with a smaller limit
	}
	if c.word.State() == Running {
		return true, false
	}
	probe.At(probe.Item118)
	w.board.words.finished[c.slot/64].Or(1 << (c.slot % 64))
	w.board.tellParent()
	return false, false
}

// account notes how long the chunk has taken, for the parent's guess of the
// next one's size, in the head of its results.
func (c *Claim) account() {
	c.worker.clock = Now()
	took := c.worker.clock - c.began
	headOf(c.worker.board.results(c.slot)).First = uint64(took)
	c.worker.record.busy.Add(int64(took))
}

// tellParent is steps 119 and 120.
func (b *Board) tellParent() {
	probe.At(probe.Item119)
	need := b.words.need.Load()
	if need != 0 && need != Attended && b.Backlog() < int(need) && b.words.need.CompareAndSwap(need, 0) {
		probe.At(probe.Item120)
		futex.Wake(&b.words.need, 1)
	}
}

// Backlog returns how many chunks are left to claim, more or less.
func (b *Board) Backlog() int { return int(int64(b.words.tail.Load() - b.words.head.Load())) }

// restBudget is how long it pays to look for a chunk before sleeping.
var restBudget spin.Budget

// Rest returns when there may be a chunk to claim, when the worker is to leave,
// which it reports, or when ctx ends: steps 130 to 134.
func (w *Worker) Rest(ctx context.Context) (leave bool) {
	began := w.clock
	defer func() {
		w.clock = Now()
		w.record.idle.Add(int64(w.clock - began))
	}()
	b := w.board.words
	something := func() bool { return b.head.Load() != b.tail.Load() || w.record.leave.Load() != 0 }
	if w.record.leave.Load() != 0 || ctx.Err() != nil {
		return true
	}
	if restBudget.Until(something) {
		return w.record.leave.Load() != 0
	}
	sleeper := await.New(ctx)
	defer sleeper.Stop()
	for ctx.Err() == nil && w.record.leave.Load() == 0 {
		probe.At(probe.Rest130)
		w.record.park.Swap(0) // a fence: what follows looks again
		probe.At(probe.Rest131)
		bit, mine := &b.asleep[w.index/64], uint64(1)<<(w.index%64)
		bit.Or(mine)
		probe.At(probe.Rest132)
		if something() {
			bit.And(^mine)
			break
		}
		probe.At(probe.Rest133)
		if b.need.Load() != Any { // then it was told of the last result already
			w.board.tellParent()
		}
		probe.At(probe.Rest134)
		sleeper.Watch(&w.record.park, 0)
		sleeper.Sleep(time.Hour)
		bit.And(^mine) // it may have been woken by ctx
		if something() {
			break
		}
	}
	return w.record.leave.Load() != 0 || ctx.Err() != nil
}
