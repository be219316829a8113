package shm

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A handing is what an end knows of the messages in which it was sent. A message
// may fail in any goroutine, while the end is being closed.
type handing struct {
	mu   sync.Mutex
	held uint64 // the end's state while this object has it

	// Of the messages that may still carry the end: how many they are, and how the
	// end was before the first of them.
	messages int
	state    uint64
	barred   uint32
}

// handOver is the sender's part, steps 69 to 71: it marks the end as on its way
// in the message that this goroutine is encoding. If that is not sent, the end is
// taken back. An end that was sent before may be sent again if it has not
// arrived, or its receiver is dead and has stopped.
func (e *pipeEnd) handOver() (err error) {
	h := &e.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	before := e.bar(barSent)
	defer func() {
		if err != nil && before&barSent == 0 {
			e.barred.And(^uint32(barSent))
		}
	}()
	if before&barClosed != 0 {
		return errClosed
	}
	if err := e.awaitIdle(); err != nil {
		return err
	}
	for {
		old := e.words.ends[e.which].state.Load()
		if old&endClosed != 0 { // by its receiver
			return errSent
		}
		if holderOf(old) != h.held {
			id := roster.ID(old & roster.Mask)
			if roster.Look(id).Alive {
				return errSent
			}
			if err := awaitStop(id); err != nil { // from now on nothing says who it was
				return err
			}
		}
		if e.give(old, before) {
			break
		}
	}
	probe.At(probe.Hand71)
	e.alarm(0)
	token := e.token
	wire.Undo(func() { e.takeBack(token) })
	return nil
}

// awaitIdle returns when no call uses the end, which was barred. Those that wait
// are woken.
func (e *pipeEnd) awaitIdle() error {
	if !e.busy() {
		return nil
	}
	e.alarm(0)
	for end := time.Now().Add(stopPatience); e.busy(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			return fmt.Errorf("a call that uses this end did not return within %v", stopPatience)
		}
	}
	return nil
}

// give is step 70. It reports false if the state is not the old one any more.
func (e *pipeEnd) give(old uint64, barred uint32) bool {
	h, held := &e.hand, e.hand.held
	if holderOf(old) != held { // its receiver is dead
		held = nextHolder(old)
	}
	transit := held | endTransit
	probe.At(probe.Hand70)
	if !e.words.ends[e.which].state.CompareAndSwap(old, transit) {
		return false
	}
	if old != transit {
		h.messages, h.state, h.barred = 0, old, barred
	}
	h.messages++
	h.held = held
	return true
}

// takeBack is step 74, for a message that was not sent. If the end was closed
// here meanwhile, nobody has it: the last copy of its token goes with the
// message, and the other end sees that.
func (e *pipeEnd) takeBack(token *os.File) {
	h := &e.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.token != token || e.closed() {
		return
	}
	if h.messages--; h.messages > 0 {
		return
	}
	probe.At(probe.Hand74)
	if e.words.ends[e.which].state.CompareAndSwap(h.held|endTransit, h.state) {
		if h.barred&barSent == 0 {
			e.barred.And(^uint32(barSent))
		}
		e.alarm(0)
	}
}

// claimEnd is the receiver's part, step 76: it makes this process the one that
// has the end, if it is on its way or its process is dead, and returns the new
// state. An earlier one that is dead has stopped then.
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
