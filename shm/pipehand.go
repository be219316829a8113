package shm

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A handing is what an end knows of the messages in which it was sent.
type handing struct {
	over atomic.Bool   // it was sent, and may have come back as another object
	held atomic.Uint64 // its state while this object has it

	// Of the messages that may still carry the end, under handings: how many they
	// are, and how the end was before the first of them.
	messages   int
	state      uint64
	overBefore bool
}

// handings guards the handings of all ends: a message may fail in any goroutine,
// while the end is being closed.
var handings sync.Mutex

// handOver is the sender's part, steps 70 and 71: it marks the end as on its way
// in the message that this goroutine is encoding. If that is not sent, the end is
// taken back. An end that was sent before may be sent again if it has not
// arrived, or its receiver is dead and has stopped.
func (e *pipeEnd) handOver() error {
	for {
		old := e.words.ends[e.which].state.Load()
		if old&endClosed != 0 { // by its receiver
			return errSent
		}
		if holderOf(old) != e.hand.held.Load() {
			id := roster.ID(old & roster.Mask)
			if roster.Look(id).Alive {
				return errSent
			}
			if err := awaitStop(id); err != nil { // from now on nothing says who it was
				return err
			}
		}
		if e.mark(old) {
			break
		}
	}
	e.send.spare, e.recv.spare = 0, 0 // the next use asks whether it has arrived
	probe.At(probe.Hand71)
	e.alarm(0)
	token := e.token
	wire.Undo(func() { e.takeBack(token) })
	return nil
}

// mark is step 70. It reports false if the state is not the old one any more.
func (e *pipeEnd) mark(old uint64) bool {
	handings.Lock()
	defer handings.Unlock()
	h := &e.hand
	held := h.held.Load()
	if holderOf(old) != held { // its receiver is dead
		held = nextHolder(old)
	}
	transit := held | endTransit
	probe.At(probe.Hand70)
	if !e.words.ends[e.which].state.CompareAndSwap(old, transit) {
		return false
	}
	if old != transit {
		h.messages, h.state, h.overBefore = 0, old, h.over.Load()
	}
	h.messages++
	h.held.Store(held)
	h.over.Store(true)
	return true
}

// takeBack is step 74, for a message that was not sent. If the end was closed
// here meanwhile, nobody has it: the last copy of its token goes with the
// message, and the other end sees that.
func (e *pipeEnd) takeBack(token *os.File) {
	handings.Lock()
	defer handings.Unlock()
	h := &e.hand
	if e.token != token {
		return
	}
	if h.messages--; h.messages > 0 {
		return
	}
	probe.At(probe.Hand74)
	if e.words.ends[e.which].state.CompareAndSwap(h.held.Load()|endTransit, h.state) {
		h.over.Store(h.overBefore)
		e.alarm(0)
	}
}

// claimEnd is the receiver's part, step 76: it makes this process the one that has
// the end, if it is on its way or its process is dead, and returns the new state. An earlier one that is
// dead has stopped then.
func claimEnd(words *pipeWords, which int) (held uint64, err error) {
	state := &words.ends[which].state
	for {
		old := state.Load()
		if id := roster.ID(old & roster.Mask); id != 0 {
			switch alive := roster.Look(id).Alive; {
			case alive && old&endTransit == 0: // also if it is this process: one object has an end
				return 0, errSent
			case !alive:
				if err := awaitStop(id); err != nil {
					return 0, err
				}
			}
		}
		probe.At(probe.Hand76)
		if held = nextHolder(old); state.CompareAndSwap(old, held) {
			return held, nil
		}
	}
}

// sent reports whether the end has arrived elsewhere by now, be it as another
// object of this process.
func (e *pipeEnd) sent() bool {
	return e.hand.over.Load() && holderOf(e.words.ends[e.which].state.Load()) != e.hand.held.Load()
}
