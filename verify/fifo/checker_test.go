package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// did is an operation with items that have small numbers.
func did(client int, k kind, i item, o outcome) op {
	return op{kind: k, outcome: o, item: i, client: client}
}

// during is what happens while the operation before it has not returned yet.
func during(o op) op {
	o.call = -1
	return o
}

// sequence has one operation after the other, in a queue for two items. What is
// pending lasts to the end.
func sequence(ops ...op) *history {
	h := &history{capacity: 2, full: 2}
	var turns [smallClients]int
	for i, o := range ops {
		o.turn = turns[o.client]
		turns[o.client]++
		concurrent := o.call < 0
		o.call, o.ret = int64(10*i+10), int64(10*i+15)
		if concurrent {
			h.ops[i-1].ret = o.ret
		}
		if o.outcome == pending {
			o.ret = int64(10*len(ops) + 20)
		}
		h.ops = append(h.ops, o)
	}
	return h
}

// openUntil has nobody close it before the n-th operation.
func (h *history) openUntil(n int) *history {
	h.closedPut, h.closedGet = int64(10*n+10), int64(10*n+10)
	return h
}

// The checkers accept what may happen and refuse what must not.
func TestCheckerKnows(t *testing.T) {
	for _, tt := range []struct {
		name string
		want bool
		h    *history
	}{
		{"first in, first out", true, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(1, get, 1, ok), did(1, get, 2, ok), did(1, get, 0, no))},
		{"swapped", false, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(1, get, 2, ok), did(1, get, 1, ok))},
		{"swapped, of two clients", false, sequence(did(0, put, 1, ok), did(2, put, 2, ok), did(1, get, 2, ok), did(3, get, 1, ok))},
		{"put at the same time", true, sequence(did(0, put, 1, ok), during(did(2, put, 2, ok)), did(1, get, 2, ok), did(3, get, 1, ok))},
		{"put at the same time by one client", false, sequence(did(0, put, 1, ok), during(did(0, put, 2, ok)), did(1, get, 2, ok), did(3, get, 1, ok))},
		{"got at the same time", true, sequence(did(0, put, 1, ok), did(2, put, 2, ok), did(1, get, 2, ok), during(did(3, get, 1, ok)))},
		{"got at the same time by one client", false, sequence(did(0, put, 1, ok), did(2, put, 2, ok), did(1, get, 2, ok), during(did(1, get, 1, ok)))},
		{"put and got at the same time by two", false, sequence(
			did(0, put, 1, ok), during(did(0, put, 2, ok)), did(1, get, 2, ok), during(did(1, get, 1, ok)))},
		{"left", true, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(1, get, 1, ok))},
		{"left out", false, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(1, get, 2, ok))},
		{"got twice", false, sequence(did(0, put, 1, ok), did(1, get, 1, ok), did(2, get, 1, ok))},
		{"never put", false, sequence(did(0, put, 1, ok), did(1, get, 2, ok))},
		{"put in vain", false, sequence(did(0, put, 0, cancelled), did(1, get, 2, ok))},
		{"got before it was put", false, sequence(did(1, get, 1, ok), did(0, put, 1, ok))},
		{"got while it was put", true, sequence(did(1, get, 1, ok), during(did(0, put, 1, ok)))},

		{"empty although one is there", false, sequence(did(0, put, 1, ok), did(1, get, 0, no), did(1, get, 1, ok))},
		{"empty although one is there, and stays", false, sequence(did(0, put, 1, ok), did(1, get, 0, no))},
		{"empty before the put was over", true, sequence(did(0, put, 1, ok), during(did(1, get, 0, no)), did(1, get, 1, ok))},
		{"empty although one of two is there", false, sequence(
			did(0, put, 1, ok), did(1, get, 0, no), during(did(0, put, 2, ok)), during(did(2, get, 1, ok)), did(2, get, 2, ok))},
		{"empty between two", true, sequence(
			did(0, put, 1, ok), did(2, get, 1, ok), during(did(1, get, 0, no)), during(did(0, put, 2, ok)), did(2, get, 2, ok))},

		{"full", true, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(0, put, 0, no))},
		{"refused with room", false, sequence(did(0, put, 1, ok), did(0, put, 0, no))},
		{"refused before the get was over", true, sequence(
			did(0, put, 1, ok), did(0, put, 2, ok), did(1, get, 1, ok), during(did(0, put, 0, no)))},
		{"too full", false, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(0, put, 3, ok))},
		{"full and then room", true, sequence(did(0, put, 1, ok), did(0, put, 2, ok), did(0, put, 3, ok), during(did(1, get, 1, ok)))},

		{"closed", true, sequence(did(0, put, 1, ok), did(0, shut, 0, ok), did(0, put, 0, closed), did(1, get, 1, ok), did(1, get, 0, closed)).openUntil(1)},
		{"put after it was closed", false, sequence(did(0, shut, 0, ok), did(1, put, 1, ok)).openUntil(0)},
		{"put after an answer that it was closed", false, sequence(did(0, put, 0, closed), did(1, put, 1, ok))},
		{"closed with one left", false, sequence(did(0, put, 1, ok), did(0, shut, 0, ok), did(1, get, 0, closed), did(1, get, 1, ok)).openUntil(1)},
		{"closed with one coming", false, sequence(
			did(0, put, 1, ok), during(did(1, get, 0, closed)), did(1, get, 1, ok))},
		{"closed by who was killed", true, sequence(did(0, shut, 0, pending), did(1, get, 0, closed), did(2, put, 0, closed)).openUntil(0)},

		{"killed in put, too late", true, sequence(did(0, put, 1, pending), did(2, put, 2, ok), did(1, get, 1, ok), did(1, get, 2, ok))},
		{"killed in put, too early", true, sequence(did(0, put, 1, pending), did(2, put, 2, ok), did(1, get, 2, ok), did(1, get, 0, no))},
		{"killed in get, too late", true, sequence(did(2, put, 1, ok), did(1, get, 0, pending), did(2, put, 2, ok), did(3, get, 2, ok))},
		{"killed in get, too early", true, sequence(did(2, put, 1, ok), did(1, get, 0, pending), did(2, put, 2, ok), did(3, get, 1, ok), did(3, get, 2, ok))},
		{"killed in get, two lost", false, sequence(
			did(2, put, 1, ok), did(1, get, 0, pending), did(2, put, 2, ok), did(2, put, 3, ok), did(3, get, 3, ok))},
		{"killed in get, and room", true, sequence(did(2, put, 1, ok), did(1, get, 0, pending), did(2, put, 2, ok), did(2, put, 3, ok))},
		{"lost before the get that was killed", false, sequence(
			did(2, put, 1, ok), did(2, put, 2, ok), did(3, get, 2, ok), did(1, get, 0, pending))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := verdict(tt.h)
			if tt.want {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			if tt.want || err != nil {
				require.Equal(t, tt.want, linearizable(tt.h) == porcupine.Ok, "the model")
			}
		})
	}
	_, err := verdict(sequence(did(0, put, 0, closed)).openUntil(1))
	require.ErrorContains(t, err, "nobody had closed it") // of which the model knows nothing
}

// The verdict is the model's for histories of any kind: those of a queue, and
// those with a fault. It never finds a fault that is not there; the only ones that
// it misses are about who was killed in a get.
func TestCheckerAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(*seed, 1))
	sound, faulty, missed := 0, 0, 0
	for range 50_000 {
		h := invent(random)
		_, err := verdict(h)
		killed := slices.ContainsFunc(h.ops, func(o op) bool { return o.kind == get && o.outcome == pending })
		switch answer := linearizable(h); {
		case answer == porcupine.Ok && err == nil:
			sound++
		case answer == porcupine.Illegal && err != nil:
			faulty++
		case answer == porcupine.Illegal && killed:
			missed++
		default:
			t.Fatalf("seed %d: the model says %v, the verdict is %v:\n%v", *seed, answer, err, h)
		}
	}
	require.Greater(t, sound, 1000)
	require.Greater(t, faulty, 1000)
	require.Less(t, missed, faulty/100)
	proctest.Verified(t, "history", "the two checkers of queues", "they agree on %d invented histories that are of a queue, and on %d that are not; %d faults are beyond the faster one",
		sound, faulty, missed)
}

// invent returns a history of a queue that is never full: operations at random
// moments within their times. In some of them then something is changed.
func invent(random *rand.Rand) *history {
	h := &history{capacity: 100, full: 100}
	var queue []item
	var free [smallClients]int64 // when each client's last operation returned
	var turns [smallClients]int
	at := int64(100)
	puts := 0
	shutAt := 1000
	if random.IntN(3) == 0 {
		shutAt = 6 + random.IntN(5)
	}
	for i := range 6 + random.IntN(8) {
		at += 10
		c := random.IntN(4)
		if free[c] == never || free[c] >= at {
			continue
		}
		o := op{kind: put, outcome: ok, client: c, turn: turns[c]}
		turns[c]++
		lag := func() int64 { return random.Int64N(1 + random.Int64N(40)) }
		o.call, o.ret = max(at-lag(), free[c]+1), at+lag()
		killed := random.IntN(12) == 0
		effect := !killed || random.IntN(2) == 0
		switch {
		case i == shutAt:
			o.kind = shut
		case random.IntN(2) == 0 && i < shutAt:
			puts++
			o.item = itemOf(c, puts)
			if effect {
				queue = append(queue, o.item)
			}
		case i > shutAt && random.IntN(4) == 0:
			o.outcome = closed
		default:
			o.kind = get
			switch {
			case len(queue) > 0 && effect:
				o.item, queue = queue[0], queue[1:]
			case len(queue) > 0:
			case i > shutAt:
				o.outcome = closed
			default:
				o.outcome = no
			}
		}
		free[c] = o.ret
		if killed && o.outcome == ok {
			o.outcome, free[c] = pending, never
			if o.kind == get {
				o.item = 0
			}
		}
		h.ops = append(h.ops, o)
	}
	if len(h.ops) > 1 && random.IntN(2) == 0 {
		spoil(random, h)
	}
	return h
}

// spoil changes something that may matter.
func spoil(random *rand.Rand, h *history) {
	a, b := &h.ops[random.IntN(len(h.ops))], &h.ops[random.IntN(len(h.ops))]
	switch random.IntN(4) {
	case 0:
		if a.kind == b.kind && a.outcome == b.outcome {
			a.item, b.item = b.item, a.item
		}
	case 1:
		if a.kind == get && a.outcome == ok {
			a.outcome, a.item = no, 0
		}
	case 2:
		if a.kind == get {
			i := slices.IndexFunc(h.ops, func(o op) bool { return o.kind == get })
			h.ops = slices.Delete(h.ops, i, i+1)
		}
	case 3:
		if a.outcome == ok {
			d := a.ret - a.call
			a.call = (a.call + a.ret) / 2
			a.ret = a.call + d/4
		}
	}
}
