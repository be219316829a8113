package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"structs"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// pipeWords lie at the start of a pipe.
//
//	off size field
//	  0    8 ends[0]  who has the first end, see endTransit
//	 64    8 ends[1]  who has the second end
//	128  256 ways[0]  from the first end to the second
//	384  256 ways[1]  from the second end to the first
type pipeWords struct {
	_    structs.HostLayout
	ends [2]struct {
		state atomic.Uint64
		_     [56]byte
	}
	ways [2]wayWords
}

const pipeData = 1024 // where the items of the first way begin; those of the second follow

// The state of an end is the roster id of the process that has it, one of these
// bits, and how often the end has been received: that tells two objects of one
// process apart, which has sent it and got it back.
const (
	endTransit = 1 << 32 // that process has sent it to another one, which has not got it yet
	endClosed  = 1 << 33
	endStep    = 1 << 34
)

// holderOf is the part of a state that says who has the end, or had it last.
func holderOf(state uint64) uint64 { return state &^ (endTransit | endClosed) }

// nextHolder is this process, which gets an end that was in that state.
func nextHolder(state uint64) uint64 { return (state+endStep)&^(endStep-1) | uint64(roster.Me()) }

// A pipeEnd is one end of a pipe.
//
// Who has an end is known in two ways. The state names the process, so that its
// death ends the other's waits at once. While the end is on its way to another
// process nobody can be named; then a socket tells, one of a pair, of which each
// end carries one: the kernel reports a hang-up when nobody has the other one
// any more, be it open or in a message.
type pipeEnd struct {
	mapping *mapping // nil: nothing has arrived
	index   int      // in the segment's directory
	name    string
	token   *os.File // this end's socket
	words   *pipeWords
	which   int // 0 or 1
	hand    handing

	// barred says why this object has the end no more: its calls fail.
	barred atomic.Uint32

	send, recv way
}

const (
	barSent   = 1 << iota // it is on its way, or has arrived
	barClosed             // by Close
)

// open makes e one end of the pipe that the entry describes, which this process
// has by now, as its state says. It takes over the token and the reference to m.
func (e *pipeEnd) open(m *mapping, index int, d entry, which int, token *os.File, state uint64) {
	words := pipeWordsOf(m)
	*e = pipeEnd{
		mapping: m, index: index, name: m.file.Name(), token: token, which: which,
		words: words, hand: handing{held: state},
	}
	out, in := &e.words.ways[which], &e.words.ways[1-which]
	e.send.open(e, out, d)
	e.recv.open(e, in, d)
	e.send.own, e.send.other = position(out.tail.Load()), position(out.head.Load())
	e.recv.own, e.recv.other = position(in.head.Load()), position(in.tail.Load())
	if d.Mode&modeOneWay != 0 && which == 0 {
		e.send.words = nil
	} else if d.Mode&modeOneWay != 0 {
		e.recv.words = nil
	}
	e.send.peerGone()
	e.recv.peerGone()
	probe.At(probe.Hand77)
	e.alarm(0)
}

func pipeWordsOf(m *mapping) *pipeWords { return &viewOf[pipeWords](m.data[headerSize:], 1)[0] }

// alarm wakes the other end, whatever it waits for.
func (e *pipeEnd) alarm(bits uint32) {
	for i := range e.words.ways {
		e.words.ways[i].items.alarm(bits)
		e.words.ways[i].room.alarm(bits)
	}
}

// peerDied reports whether the process that had the other end at the last look
// has died.
func (w *way) peerDied() bool { return w.peer.Word.Load() != w.peer.Seen }

// peerMoved reports whether the other end has changed hands since the last look.
func (w *way) peerMoved() bool { return w.end.otherState() != w.state }

func (e *pipeEnd) otherState() uint64 { return e.words.ends[1-e.which].state.Load() }

// peerGone looks at the other end anew, and reports whether nobody has it.
func (w *way) peerGone() (gone bool) {
	w.state = w.end.otherState()
	w.peer = roster.Look(roster.ID(w.state & roster.Mask))
	gone = !w.peer.Alive
	switch {
	case w.state&endClosed != 0:
		gone = true
	case w.state&endTransit != 0:
		gone = w.end.hungUp()
	}
	if gone {
		w.peer.Word, w.peer.Seen = &never, 1 // nobody will have it again unless the state changes
	} else if !w.peer.Alive {
		w.peer.Word, w.peer.Seen = &never, 0
	}
	return gone
}

// fencePeer returns when no thread of the process that had the other end runs any
// more. An end that is closed or lost has none.
func (w *way) fencePeer(ctx context.Context) error {
	if w.state&(endClosed|endTransit) != 0 {
		return nil
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	return roster.Fence(ctx, roster.ID(w.state&roster.Mask))
}

// never is a word that nobody changes.
var never atomic.Uint32

// watch is step 52. An end that is on its way is looked after by asking.
func (w *way) watch(list watcher) bool {
	w.peerGone()
	if w.peer.Alive {
		list.WatchLife(w.peer)
	}
	return w.state&endTransit == 0
}

// hungUp asks the kernel whether nobody has the other token any more.
func (e *pipeEnd) hungUp() (gone bool) {
	err := control(e.token, func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		gone = n > 0 && fds[0].Revents&unix.POLLHUP != 0
		return err
	})
	return gone || err != nil && !errors.Is(err, unix.EINTR)
}

// await makes the end one of many things that are waited for: it is ready when
// a look for a message would not end with ErrEmpty.
func (e *pipeEnd) await(list *await.List) (ready bool) {
	w := &e.recv
	if w.words == nil {
		return true
	}
	defer w.leave()
	if !w.enter() {
		return true
	}
	if !arm(list, &w.words.items, w) {
		list.Bound(futex.PollInterval)
	}
	list.Bound(lastLook)
	return position(w.words.tail.Load()) != w.own || w.words.items.closing() || w.peerGone() || !w.end.usable()
}

// usable reports whether this object has the end.
func (e *pipeEnd) usable() bool { return e.barred.Load() == 0 }

func (e *pipeEnd) closed() bool { return e.mapping == nil || e.barred.Load()&barClosed != 0 }

// errBarred is the error of an end that is not usable.
func (e *pipeEnd) errBarred() error {
	if e.closed() {
		return errClosed
	}
	return errSent
}

// bar makes calls fail from now on, for a reason, and returns those that there
// were before. A call that has entered is seen by busy.
func (e *pipeEnd) bar(reason uint32) (before uint32) {
	before = e.barred.Or(reason)
	if !barrier.Everywhere() {
		time.Sleep(futex.PollInterval) // no mark stays in a processor for so long
	}
	return before
}

// busy reports whether a call uses the end.
func (e *pipeEnd) busy() bool { return e.send.mark.isSet() || e.recv.mark.isSet() }

// close closes the end. The other one is told, unless this end was sent to
// another process and is closed here only. Calls that wait here are woken; while
// one uses the memory it stays mapped.
func (e *pipeEnd) close() error {
	if e.mapping == nil {
		return errClosed
	}
	e.hand.mu.Lock()
	defer e.hand.mu.Unlock()
	before := e.bar(barClosed)
	if before&barClosed != 0 {
		return errClosed
	}
	held := e.hand.held
	if before&barSent == 0 && e.words.ends[e.which].state.CompareAndSwap(held, held|endClosed) {
		e.alarm(eventClosing)
	}
	err := e.awaitIdle()
	if err == nil {
		err = e.mapping.release()
	}
	return errors.Join(err, e.token.Close())
}

func (e *pipeEnd) errDirection() error {
	switch {
	case e == nil || e.closed(): // nil: nothing has arrived
		return errClosed
	case e.send.words == nil:
		return fmt.Errorf("%w: this end only receives", ErrDirection)
	default:
		return fmt.Errorf("%w: this end only sends", ErrDirection)
	}
}
