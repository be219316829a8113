package chunk

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A match is a parent and its workers, here goroutines, that do everything to
// one another that the protocol allows.
type match struct {
	t     *testing.T
	board *Board
	ends  chan int // indexes of workers that have ended
	all   sync.WaitGroup

	todo     []int // items without an outcome that are not out
	outcomes []int // of each item, how many
	out      map[int]*hand
	free     []int
	tag      uint32
	verdicts int
	cuts     int
	backs    int
}

// A hand is what the parent knows of a chunk.
type hand struct {
	tag   uint32
	items []int
	taken int
	rest  []byte // of the results
}

const contenders = 3

func TestEveryItemHasOneOutcome(t *testing.T) {
	m := &match{t: t, board: newBoard(t), ends: make(chan int, contenders), out: make(map[int]*hand)}
	for n := range 40 {
		m.free = append(m.free, n)
	}
	for w := range contenders {
		m.start(w)
	}
	var kicked atomic.Bool
	random := rand.New(rand.NewPCG(1, 2))
	for enough := false; !enough || len(m.todo) > 0 || len(m.out) > 0; {
		enough = len(m.outcomes) >= 5000 && min(m.verdicts, m.cuts, m.backs) >= 20
		if !enough && len(m.todo) < 100 {
			m.add(100)
		}
		for len(m.todo) > 0 && len(m.free) > 0 && m.board.CanPublish() {
			m.publish(1 + random.IntN(8))
		}
		m.board.Finished(m.collect)
		for n := range m.out {
			m.meddle(n, random.IntN(100))
			m.collect(n)
		}
		m.bury()
		if m.board.Backlog() > 0 {
			m.board.WakeOne()
		}
		m.board.Pause(1+random.IntN(20), time.Millisecond, &kicked)
	}
	for w := range contenders {
		m.board.Dismiss(w)
	}
	m.all.Wait()
	for i, n := range m.outcomes {
		require.Equal(t, 1, n, "outcomes of item %d", i)
	}
}

// add adds items.
func (m *match) add(n int) {
	for range n {
		m.todo = append(m.todo, len(m.outcomes))
		m.outcomes = append(m.outcomes, 0)
	}
}

func (m *match) start(index int) {
	m.all.Go(func() { m.work(index, rand.New(rand.NewPCG(uint64(index), uint64(m.board.Counters(index).Busy)))) })
}

// work is a worker. It ends by a verdict, by itself, or because it is to leave.
func (m *match) work(index int, random *rand.Rand) {
	w := m.board.Worker(index)
	for {
		c, ok := w.Claim()
		if !ok {
			if w.Rest(m.t.Context()) {
				return
			}
			continue
		}
		args := c.Args
		for more := true; more; {
			_, data, rest, err := Next(args)
			if err != nil {
				m.t.Error(err)
				return
			}
			args = rest
			for range random.IntN(10_000) { // so that the parent finds it at work
			}
			c.Write(Value, binary.LittleEndian.AppendUint64(nil, ^binary.LittleEndian.Uint64(data)))
			leave, condemned := random.IntN(300) == 0, false
			if more, condemned = c.Commit(leave); leave || condemned {
				m.ends <- index
				return
			}
		}
	}
}

func (m *match) publish(n int) {
	slot := m.free[len(m.free)-1]
	m.free = m.free[:len(m.free)-1]
	n = min(n, len(m.todo))
	args := m.board.Arguments(slot)
	for _, item := range m.todo[:n] {
		args = Append(args, Value, binary.LittleEndian.AppendUint64(nil, uint64(item)))
	}
	m.tag = (m.tag + 1) & TagMask
	m.out[slot] = &hand{tag: m.tag, items: append([]int(nil), m.todo[:n]...), rest: m.board.Results(slot)}
	m.todo = m.todo[n:]
	m.board.Publish(slot, m.tag, Head{Items: uint32(n)})
	m.board.Announce()
	m.board.WakeOne()
}

func (m *match) look(slot int) (*hand, Word) {
	h := m.out[slot]
	w, err := m.board.Look(slot, h.tag, len(h.items), h.taken, contenders)
	require.NoError(m.t, err)
	return h, w
}

// deliver takes what is committed.
func (m *match) deliver(h *hand, w Word) {
	for h.taken < w.Done() {
		_, data, rest, err := Next(h.rest)
		require.NoError(m.t, err)
		require.EqualValues(m.t, h.items[h.taken], ^binary.LittleEndian.Uint64(data))
		m.outcomes[h.items[h.taken]]++
		h.rest, h.taken = rest, h.taken+1
	}
}

// collect is called with slots that are out, and with others.
func (m *match) collect(slot int) {
	if m.out[slot] == nil {
		return
	}
	h, w := m.look(slot)
	m.deliver(h, w)
	if w.State() == Done || w.State() == Stopped {
		m.release(slot, w.Done())
	}
}

// release frees a slot. The items from one on are to be done again.
func (m *match) release(slot, from int) {
	m.todo = append(m.todo, m.out[slot].items[from:]...)
	delete(m.out, slot)
	m.board.Release(slot)
	m.free = append(m.free, slot)
}

// meddle does something to a chunk that is out.
func (m *match) meddle(slot, what int) {
	h, w := m.look(slot)
	switch {
	case what == 0 && m.board.Withdraw(slot, w):
		m.backs++
		m.release(slot, 0)
		return
	case w.State() != Running:
		return
	case what < 30 && w.Done()+1 < w.Limit() && m.board.Cut(slot, w, w.Done()+1):
		m.cuts++
		m.todo = append(m.todo, h.items[w.Done()+1:]...)
		h.items = h.items[:w.Done()+1]
	case what > 80 && m.board.Condemn(slot, w):
		m.verdicts++
		m.deliver(h, w)
		m.outcomes[h.items[w.Done()]]++
	}
}

// bury takes leave of workers that have ended, and starts others.
func (m *match) bury() {
	for {
		select {
		case index := <-m.ends:
			for slot := range m.out {
				if h, w := m.look(slot); w.State() != Ready && w.Worker() == index {
					m.deliver(h, w)
					require.NotEqual(m.t, Running, w.State(), "it ends between two items")
					from := w.Done()
					if w.State() == Killed {
						from++
					}
					m.release(slot, from)
				}
			}
			m.board.Forget(index)
			m.start(index)
		default:
			return
		}
	}
}
