package fifo

import (
	"encoding/binary"

	"github.com/anishathalye/porcupine"
)

// A state is what a queue is in between two operations.
type state struct {
	items  string // 8 bytes each, first in first
	closed bool
	turns  [smallClients]uint16 // how many operations of each client took effect
}

const smallClients = 8

// linearizable decides whether some order of the operations, one after the other,
// explains a small history.
func linearizable(h *history) porcupine.CheckResult {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, _ any) (next []any) {
			for _, n := range h.step(s.(state), in.(known)) {
				next = append(next, n)
			}
			return next
		},
	}
	return porcupine.CheckOperationsTimeout(model.ToModel(), h.operations(), decideWithin)
}

// A known is an operation, and what follows from the rest of the history: how
// many operations of each client come before it if it is a put, because their
// items were got before. The search would find that out as well, but later.
type known struct {
	op
	after [smallClients]uint16
}

// operations leaves out what was cancelled: that may happen at any time and has
// no effect.
func (h *history) operations() (all []porcupine.Operation) {
	var turns [smallClients]int
	puts, gets := map[item]op{}, map[item]op{}
	var ops []op
	lost := false // an item may be
	for _, o := range h.ops {
		if o.outcome == cancelled || o.kind == leave || o.unsure() {
			continue
		}
		o.turn = turns[o.client]
		turns[o.client]++
		ops = append(ops, o)
		if o.kind == put {
			puts[o.item] = o
		} else if o.kind == get && o.outcome == ok {
			gets[o.item] = o
		}
		lost = lost || o.kind == get && o.outcome == pending
	}
	for _, o := range ops {
		k := known{op: o}
		for earlier, g := range gets {
			mine, got := gets[o.item]
			before := !got && !lost || got && (g.ret < mine.call || g.client == mine.client && g.turn < mine.turn)
			if p := puts[earlier]; o.kind == put && o.outcome == ok && before && p.item != o.item {
				k.after[p.client] = max(k.after[p.client], uint16(p.turn)+1)
			}
		}
		all = append(all, porcupine.Operation{ClientId: o.client, Input: k, Call: o.call, Return: o.ret})
	}
	return all
}

// step returns the states in which the queue may be after an operation, none if
// it cannot have gone like that. Operations for several items at once begin and
// end together; their order is kept by counting the client's turns.
func (h *history) step(s state, o known) (next []state) {
	if o.outcome == pending {
		next = append(next, s) // it had no effect
	}
	if int(s.turns[o.client]) != o.turn {
		return next
	}
	for c, n := range o.after {
		if s.turns[c] < n {
			return next
		}
	}
	s.turns[o.client]++
	size := len(s.items) / 8
	may := false
	switch o.kind {
	case shut:
		s.closed = true
		may = true
	case put:
		switch o.outcome {
		case ok, pending:
			may = !s.closed && size < h.capacity
			s.items += string(binary.BigEndian.AppendUint64(nil, uint64(o.item)))
		case no:
			may = !s.closed && size >= h.full
		case closed:
			may = true
			s.closed = true // by whom, and whether that was right, is the other checker's affair
		}
	case get:
		switch o.outcome {
		case ok, pending:
			if may = size > 0; may {
				may = o.outcome == pending || binary.BigEndian.Uint64([]byte(s.items[:8])) == uint64(o.item)
				s.items = s.items[8:]
			}
		case no:
			may = size == 0
		case closed:
			may = size == 0
			s.closed = true
		}
	}
	if may {
		next = append(next, s)
	}
	return next
}
