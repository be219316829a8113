package proc

import (
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
)

// A span is a run of inputs, with their arguments as records.
type span struct {
	first, items int
	attempts     int // so far
	size         int // of each record; 0: they differ, or nobody knows
	args         []byte
}

// targetTime is how long a chunk should take: long enough that its handling
// does not count, short enough that loads balance.
const targetTime = 2 * time.Millisecond

// learn is told how long a chunk took.
func (j *job) learn(items int, took time.Duration, bytes int) {
	j.bytes = max(j.bytes, bytes/max(items, 1))
	if j.chunk > 0 || items == 0 {
		return
	}
	want := int(targetTime / max(took/time.Duration(items), 1))
	before := j.guess
	j.guess = max(1, min(want, 8*j.guess, chunk.MaxItems))
	if j.guess > before {
		post(j.room)
	}
}

// size returns how many items the next chunk should have.
func (j *job) size() int {
	if j.chunk > 0 {
		return min(j.chunk, chunk.MaxItems)
	}
	n := j.guess
	if j.bytes > 0 {
		n = min(n, chunk.Room*3/4/j.bytes)
	}
	return max(1, min(n, j.left()/(2*j.pool.target)))
}

// left returns how many inputs are known of that were not published.
func (j *job) left() int {
	if j.total != unknownTotal {
		return j.total - (j.put - j.waiting)
	}
	return j.waiting
}

// next takes the inputs of the next chunk, and writes their arguments behind args,
// where there is room for them. There are none if it pays to wait for more.
func (j *job) next(args []byte) (first, items, attempts int) {
	if len(j.again) > 0 {
		s := &j.again[0]
		n := s.items
		if s.attempts > 0 {
			n = 1 // so that what kills workers harms no others
		}
		first, attempts = s.first, s.attempts
		_, items = s.cut(args, n)
		if s.items == 0 {
			j.again = j.again[1:]
		}
		return first, items, attempts
	}
	want := j.size()
	if j.waiting == 0 || j.waiting < want && j.total == unknownTotal && j.pool.enough() {
		return 0, 0, 0
	}
	first = j.fresh[0].first
	for items < want && len(j.fresh) > 0 && j.fresh[0].first == first+items { // one that was refused lies between
		var n int
		args, n = j.fresh[0].cut(args, want-items)
		items += n
		j.waiting -= n
		if j.fresh[0].items > 0 {
			break // the area is full
		}
		j.fresh = j.fresh[1:]
	}
	return first, items, 0
}

// enough reports whether workers have enough to claim for now. Something must be out,
// or nothing would have the pool look again: the backlog may be what was withdrawn.
func (p *Pool) enough() bool {
	return len(p.free) < chunk.Slots && p.board.Backlog() >= p.target
}

// cut moves at most n inputs from the start of the span to args, as many as
// there is room for; the first one always has.
func (s *span) cut(args []byte, n int) ([]byte, int) {
	n = min(n, s.items)
	if s.size > 0 {
		n = min(n, (cap(args)-len(args))/s.size)
		at := n * s.size
		args = append(args, s.args[:at]...)
		s.args, s.first, s.items = s.args[at:], s.first+n, s.items-n
		return args, n
	}
	rest, moved := s.args, 0
	for moved < n {
		_, _, after, err := chunk.Next(rest)
		if err != nil {
			panic(fmt.Sprintf("proc: a pool's own arguments: %v", err)) // cannot happen: this process has written them
		}
		if len(args)+len(s.args)-len(after) > cap(args) {
			break
		}
		rest = after
		moved++
	}
	args = append(args, s.args[:len(s.args)-len(rest)]...)
	s.args, s.first, s.items = rest, s.first+moved, s.items-moved
	return args, moved
}
