package shm

import (
	"context"
	"io"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// A way is one direction of a pipe: a ring as a queue's, but with one putting
// and one getting process, so it has no locks. What only one side needs lies in
// that process; shared are the two positions and the two events.
//
// The steps are those of a ring without 30, 31, 36 and their mirror. Step 35
// needs no lock, because there is one committer. Instead of members, each side
// watches the process at the other end. Its death, or its closing, ends the way:
// the receiver looks at the tail once more after it has seen that, gets what is
// left, and then io.EOF; the sender gets ErrBroken.
//
// The first line is one that hardly ever changes, as in ringWords.
//
//	off size field
//	  0    4 items  event: something was sent; closing: by either side
//	 64    4 room   event: something was received; closing: by either side
//	128    8 tail   position: sent so far
//	192    8 head   position: received so far
type wayWords struct {
	_     structs.HostLayout
	items event
	_     [60]byte
	room  event
	_     [60]byte
	tail  atomic.Uint64
	_     [56]byte
	head  atomic.Uint64
	_     [56]byte
}

// A way is what one side of it knows. The sender's own position is tail, and
// other is the head that it saw last; with the receiver it is the other way
// round.
type way struct {
	end     *pipeEnd
	words   *wayWords // nil: this end does not go this way
	mark    mark      // a call uses the end this way
	own     position
	other   position
	spare   uint32 // how many units are free, or filled, as far as is known
	quiet   uint32 // the other side's event while nobody sleeps and nothing has happened
	units   uint32
	limit   uint32
	records bool
	pace    spin.Pace

	// peer is the last sight of the process at the other end, and state what
	// the words said of it then. Its word is never nil.
	peer  roster.Sight
	state uint64
}

func (w *way) open(e *pipeEnd, words *wayWords, d entry) {
	w.end, w.words = e, words
	w.units, w.limit, w.records = uint32(d.Length), uint32(d.Limit), d.Mode&modeRecords != 0
}

// enter begins a call, and reports whether the end is usable. If so, it stays so
// until leave: it goes to no other process, and its memory stays mapped.
func (w *way) enter() bool {
	w.mark.set()
	return w.end.usable()
}

// leave ends a call, also one that could not enter. A commit does it as well.
func (w *way) leave() { w.mark.clear() }

// beginSend waits for room for one item of least units, and returns how many
// units are free behind w.own. It looks whether there are as many as are wanted.
// Unless it fails, the caller must leave.
func (w *way) beginSend(ctx context.Context, least, wanted uint32) (free uint32, err error) {
	if w.words == nil {
		return 0, w.end.errDirection()
	}
	defer func() {
		if err != nil {
			w.leave()
		}
	}()
	if !w.enter() {
		return 0, w.end.errBarred()
	}
	probe.At(probe.Put32)
	if w.spare < max(least, wanted) {
		w.lookForRoom()
	}
	if w.spare >= least && w.undisturbed() {
		return w.spare, nil
	}
	return w.waitSend(ctx, least)
}

// undisturbed reports whether the other end is where it was: who closes or takes
// over an end changes the event. One that gets lost on its way does not.
func (w *way) undisturbed() bool {
	return w.state&endTransit == 0 && !w.peerDied() && w.words.items.word.Load()&^eventSleeper == w.quiet
}

// calm takes the event as it is now for quiet, unless it says that an end is
// closed. The other end is to be looked at after that.
func (w *way) calm(e *event) { w.quiet = e.word.Load() &^ (eventSleeper | eventClosing) }

// lookForRoom looks how far the receiver is. Positions that contradict each
// other leave no room.
func (w *way) lookForRoom() {
	w.other = position(w.words.head.Load())
	w.spare = 0
	items, units := w.own.items()-w.other.items(), w.own.units()-w.other.units()
	if items >= w.limit || units >= w.units {
		return
	}
	w.spare = w.units - units
	if !w.records {
		w.spare = min(w.spare, w.limit-items)
	}
}

// waitSend is beginSend for who has found no room, or the other end's process
// dead.
func (w *way) waitSend(ctx context.Context, least uint32) (free uint32, err error) {
	t := wait{ctx: ctx, event: &w.words.room, pace: &w.pace, others: w}
	defer func() { t.end(err) }()
	for {
		w.calm(&w.words.items)
		gone := w.peerGone()
		w.lookForRoom()
		switch {
		case !w.end.usable():
			return 0, w.end.errBarred()
		case gone || w.words.items.closing():
			w.spare = 0
			return 0, ErrBroken
		case w.own.units()-w.other.units() > w.units || w.own.items()-w.other.items() > w.limit:
			return 0, errPositions(w.other, w.own)
		case w.spare >= least:
			return w.spare, nil
		case ctx == atOnce:
			return 0, ErrFull
		}
		look := func() bool { return w.words.head.Load() != uint64(w.other) || w.stirred() }
		if err := t.until(look, look); err != nil {
			return 0, err
		}
		w.pace.Came(position(w.words.head.Load()).since(w.other))
	}
}

// stirred reports whether the other end was closed, has died or changed hands, or
// this one was sent or closed.
func (w *way) stirred() bool {
	return w.words.items.closing() || w.peerDied() || w.peerMoved() || !w.end.usable()
}

// commitSend is steps 34 and 35, and leaves.
func (w *way) commitSend(items, units uint32) {
	w.own = w.own.plus(items, units)
	w.spare -= units
	if w.records && w.own.items()-w.other.items() >= w.limit {
		w.spare = 0
	}
	if check.Race {
		check.Release(&w.words.tail)
	}
	probe.At(probe.Put34)
	barrier.Commit(&w.words.tail, uint64(w.own))
	probe.At(probe.Put35)
	if w.words.items.word.Load() != w.quiet {
		w.tell(&w.words.items)
	}
	w.leave()
}

// tell is step 35, or 45, for who finds the other side's event changed: the
// other end sleeps, or has changed hands. There is one sleeper at most.
func (w *way) tell(e *event) {
	e.wake(futex.All)
	w.calm(e)
	w.peerGone()
}

// beginRecv waits for an item, and returns how many units are filled at w.own.
// It looks whether there are as many as are wanted. Unless it fails, the caller
// must leave.
func (w *way) beginRecv(ctx context.Context, wanted uint32) (filled uint32, err error) {
	if w.words == nil {
		return 0, w.end.errDirection()
	}
	defer func() {
		if err != nil {
			w.leave()
		}
	}()
	if !w.enter() {
		return 0, w.end.errBarred()
	}
	probe.At(probe.Get42)
	if w.spare < wanted {
		w.lookForItems()
	}
	if w.spare > 0 && w.spare <= w.units {
		return w.spare, nil
	}
	return w.waitRecv(ctx)
}

// lookForItems looks how far the sender is.
func (w *way) lookForItems() {
	w.other = position(w.words.tail.Load())
	if check.Race {
		check.Acquire(&w.words.tail)
	}
	w.spare = w.other.units() - w.own.units()
}

// waitRecv is beginRecv for who has found nothing. The other end's death is
// looked for before the tail: what it sent is there then, and since none of its
// threads runs any more, nothing follows.
func (w *way) waitRecv(ctx context.Context) (filled uint32, err error) {
	t := wait{ctx: ctx, event: &w.words.items, pace: &w.pace, others: w}
	defer func() {
		if err != nil {
			w.spare = 0 // it is not known to be good
		}
		t.end(err)
	}()
	for {
		ended := w.peerGone()
		if ended {
			switch err := w.fencePeer(ctx); {
			case err != nil && ctx == atOnce:
				return 0, ErrEmpty
			case err != nil:
				return 0, err
			}
		}
		ended = ended || w.words.items.closing()
		w.lookForItems()
		switch {
		case !w.end.usable():
			return 0, w.end.errBarred()
		case w.spare > w.units:
			return 0, errPositions(w.own, w.other)
		case w.spare > 0:
			return w.spare, nil
		case ended:
			return 0, io.EOF
		case ctx == atOnce:
			return 0, ErrEmpty
		}
		look := func() bool { return w.words.tail.Load() != uint64(w.other) || w.stirred() }
		if err := t.until(look, look); err != nil {
			return 0, err
		}
		w.pace.Came(position(w.words.tail.Load()).since(w.other))
	}
}

// commitRecv is steps 44 and 45, and leaves.
func (w *way) commitRecv(items, units uint32) {
	w.own = w.own.plus(items, units)
	w.spare -= units
	probe.At(probe.Get44)
	barrier.Commit(&w.words.head, uint64(w.own))
	probe.At(probe.Get45)
	if w.words.room.word.Load() != w.quiet {
		w.tell(&w.words.room)
	}
	w.leave()
}
