package proc

import (
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// A slot is what the parent knows of a chunk that is out. Workers cannot write
// it.
type slot struct {
	job      *job // nil: the slot is free
	tag      uint32
	first    int
	items    int // after cuts
	attempts int // of the items, this one included
	taken    int // delivered
	offset   int // bytes of results that were delivered

	asked   int           // the item that was asked to end; -1: none
	askedAt time.Duration // when
	why     error         // its outcome
	judged  bool          // it has that outcome

	condemned bool // its word is Killed
}

// look returns a slot's word. One that makes no sense ends the pool.
func (p *Pool) look(n int) chunk.Word {
	s := &p.slots[n]
	w, err := p.board.Look(n, s.tag, s.items, s.taken, len(p.workers))
	if err == nil && (w.State() == chunk.Killed) != s.condemned {
		err = fmt.Errorf("%w: slot %d: %v; the verdict is the parent's", chunk.ErrCorrupt, n, w)
	}
	if err != nil {
		p.fail(err)
	}
	return w
}

// collect delivers what is committed of a slot, and frees it if it is done. It
// is called with a slot in any state, also free.
func (p *Pool) collect(n int) {
	s := &p.slots[n]
	if s.job == nil {
		return
	}
	probe.At(probe.Collect141)
	w := p.look(n)
	if p.failed != nil || !p.deliver(n, w, nil) {
		return
	}
	switch w.State() {
	case chunk.Done:
		took := p.board.Took(n)
		s.job.learn(s.items, took, s.offset)
		if s.items == 1 {
			p.noteSlow(n, 0, took)
		}
	case chunk.Stopped:
		p.handBack(n, w.Done())
	default:
		return
	}
	probe.At(probe.Collect142)
	p.release(n)
}

// deliver gives the committed items of a slot their outcomes. It reports false
// if one of the results has not come through the worker's socket yet. If the worker
// has ended it never will: then lost is the item's error, unless it is tried again.
func (p *Pool) deliver(n int, w chunk.Word, lost error) bool {
	s := &p.slots[n]
	worker := p.workers[w.Worker()]
	results := p.board.Results(n)[s.offset:]
	before := s.taken
	if n, size := s.job.storeAll(s.first+s.taken, w.Done()-s.taken, results); n > 0 {
		s.job.deliver(delivery{first: s.first + s.taken, items: n, stored: true})
		s.taken += n
		s.offset += size
		results = results[size:]
	}
	d := delivery{first: s.first + s.taken, worker: w.Worker(), pid: worker.pid, attempts: s.attempts}
	rest, whole := results, true
	for s.taken+d.items < w.Done() {
		if n, size := chunk.Values(rest, w.Done()-s.taken-d.items); n > 0 {
			d.items += n
			rest = rest[size:]
			continue
		}
		kind, _, after, err := chunk.Next(rest)
		if err != nil {
			p.fail(err)
			return false
		}
		item := s.taken + d.items
		key := sentKey{n, s.tag, item}
		sent := worker.sent[key]
		missing := kind.Sent() && sent == nil
		if missing && lost == nil {
			whole = false
			break
		}
		delete(worker.sent, key)
		if missing || s.asked == item && kind.Failed() { // it has ended because it was asked to
			sent.Close()
			p.hand(s, d, results, rest)
			s.offset += len(results) - len(after)
			s.taken = item + 1
			if s.asked == item {
				p.give(n, item, d.worker, s.why)
			} else {
				p.again(n, item, d.worker, lost)
			}
			results, rest = after, after
			d = delivery{first: s.first + s.taken, worker: w.Worker(), pid: worker.pid, attempts: s.attempts}
			continue
		}
		if kind.Sent() {
			d.sent = append(d.sent, sent)
		} else {
			sent.Close()
		}
		rest = after
		d.items++
	}
	p.hand(s, d, results, rest)
	s.offset += len(results) - len(rest)
	s.taken += d.items
	worker.tasks += uint64(s.taken - before)
	return whole
}

// hand delivers d, whose results are what lies between results and rest. They
// are copied: the slot will have others.
func (p *Pool) hand(s *slot, d delivery, results, rest []byte) {
	if d.items == 0 {
		return
	}
	d.results = s.job.keep(results[:len(results)-len(rest)])
	s.job.deliver(d)
}

// give gives one item an error for its outcome.
func (p *Pool) give(n, item, worker int, err error) {
	s := &p.slots[n]
	s.job.deliver(delivery{first: s.first + item, items: 1, worker: worker, pid: p.workers[worker].pid, attempts: s.attempts, err: err})
}

// again has an item that was lost with its worker tried again, or gives it an error.
func (p *Pool) again(n, item, worker int, err error) {
	if s := &p.slots[n]; s.attempts <= s.job.retries && s.job.stopped == nil {
		p.takeBack(n, item, item+1, s.attempts)
	} else {
		p.give(n, item, worker, err)
	}
}

// handBack makes the items of a slot from an index on the job's again, as if
// never published.
func (p *Pool) handBack(n, from int) { p.takeBack(n, from, p.slots[n].items, p.slots[n].attempts-1) }

// takeBack makes some items of a slot the job's again.
func (p *Pool) takeBack(n, from, to, attempts int) {
	s := &p.slots[n]
	if from == to || s.job.stopped != nil {
		return
	}
	args := p.board.Published(n)
	for range from {
		_, _, args, _ = chunk.Next(args) // this process has written them
	}
	rest := args
	for range to - from {
		_, _, rest, _ = chunk.Next(rest)
	}
	s.job.again = append(s.job.again, span{
		first: s.first + from, items: to - from, attempts: attempts,
		args: append([]byte(nil), args[:len(args)-len(rest)]...),
	})
	p.list(s.job)
}

// release makes a slot free.
func (p *Pool) release(n int) {
	j := p.slots[n].job
	p.slots[n] = slot{}
	p.board.Release(n)
	p.free = append(p.free, n)
	p.out.remove(n)
	j.out--
	j.end()
}

// why returns how a worker's process has died, and why it had to be killed if one could
// not speak with it any more.
func (died *WorkerDiedError) why(proc *Process) error {
	if proc.failure == nil {
		return died
	}
	return fmt.Errorf("%w: %w", died, proc.failure)
}

// bury is the steps 150 to 155, for a worker that was waited for.
func (p *Pool) bury(w *worker, proc *Process, died *WorkerDiedError) (hadTask bool) {
	lost := died.why(proc)
	missing := fmt.Errorf("the result has not arrived: %w", lost)
	for n := range p.out.all {
		s := &p.slots[n]
		word := p.look(n)
		if p.failed != nil {
			return
		}
		if word.State() == chunk.Ready || word.Worker() != w.index {
			continue
		}
		probe.At(probe.Death150)
		if !p.deliver(n, word, missing) {
			return // the pool has failed
		}
		probe.At(probe.Death151)
		from := word.Done()
		if word.State() == chunk.Running {
			hadTask = true
			p.noteLost(n, word)
			if s.asked == from {
				p.give(n, from, w.index, s.why)
			} else {
				p.again(n, from, w.index, lost)
			}
		}
		if word.State() == chunk.Killed && !s.judged {
			p.give(n, from, w.index, s.why)
		}
		if word.State() == chunk.Running || word.State() == chunk.Killed {
			from++
		}
		probe.At(probe.Death152)
		p.handBack(n, from)
		probe.At(probe.Death153)
		p.release(n)
	}
	probe.At(probe.Death154)
	p.board.Forget(w.index)
	w.forgetSent()
	probe.At(probe.Death155)
	p.refill()
	if p.board.Backlog() > 0 {
		p.board.WakeOne()
	}
	return hadTask
}

// holds reports whether a worker has a task in hand.
func (p *Pool) holds(w *worker) bool {
	for n := range p.out.all {
		if word := p.look(n); word.State() == chunk.Running && word.Worker() == w.index {
			return true
		}
	}
	return false
}
