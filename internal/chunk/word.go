package chunk

import "fmt"

// A State says where a chunk is.
type State uint8

// The states. All but Free and Ready name a worker.
const (
	Free    State = iota // the slot is the parent's
	Ready                // anybody may claim it
	Running              // items before Done() are committed, item Done() is in the worker's hand
	Done                 // all items are committed
	Stopped              // the worker has left the chunk at Done(), with nothing in hand
	Killed               // the parent's verdict on item Done(): its worker is about to be killed
)

const (
	// MaxItems is the most items of a chunk.
	MaxItems = 4096
	// MaxWorkers is the most workers of a board.
	MaxWorkers = 1 << workerBits

	// TagMask is the largest tag.
	TagMask = 1<<(64-tagShift) - 1

	stateBits  = 3
	workerBits = 10
	countBits  = 14

	workerShift = stateBits
	doneShift   = workerShift + workerBits
	limitShift  = doneShift + countBits
	tagShift    = limitShift + countBits
)

// A Word is all that is known of a chunk, and changes as one:
//
//	2..0   state
//	12..3  worker
//	26..13 done    how many items are committed
//	40..27 limit   how many items there are
//	63..41 tag     differs from that of the slot's chunk before
//
// Claim, commit of a result, begin of the next item, the parent's verdict on an
// item and its taking back of items are each one compare-and-swap of it, so no
// two opinions about an item ever exist.
type Word uint64

// NewWord makes a word.
func NewWord(s State, worker, done, limit int, tag uint32) Word {
	return Word(s) | Word(worker)<<workerShift | Word(done)<<doneShift | Word(limit)<<limitShift | Word(tag)<<tagShift
}

// State returns the chunk's state.
func (w Word) State() State { return State(w & (1<<stateBits - 1)) }

// Worker returns the index of the worker that has, or had, the chunk.
func (w Word) Worker() int { return int(w >> workerShift & (1<<workerBits - 1)) }

// Done returns how many items are committed.
func (w Word) Done() int { return int(w >> doneShift & (1<<countBits - 1)) }

// Limit returns how many items the chunk has.
func (w Word) Limit() int { return int(w >> limitShift & (1<<countBits - 1)) }

// Tag tells this chunk from the earlier ones of its slot.
func (w Word) Tag() uint32 { return uint32(w >> tagShift) }

// with returns the word with another state, worker and number of committed
// items.
func (w Word) with(s State, worker, done int) Word {
	return NewWord(s, worker, done, w.Limit(), w.Tag())
}

// next returns the word of a chunk that runs with one more item committed.
func (w Word) next() Word { return w + 1<<doneShift }

// String describes the chunk, for people.
func (w Word) String() string {
	names := [...]string{"free", "ready", "running", "done", "stopped", "killed"}
	s := w.State()
	if int(s) >= len(names) {
		return fmt.Sprintf("chunk %d in state %d", w.Tag(), s)
	}
	return fmt.Sprintf("chunk %d %s, %d of %d items, worker %d", w.Tag(), names[s], w.Done(), w.Limit(), w.Worker())
}
