package proc

import (
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// judge looks after a chunk that is under way: it asks the item in hand to end
// if its time is over or its job has stopped, and kills the worker if that does
// not help. It returns when to look again, 0 meaning that it need not.
func (p *Pool) judge(n int, now time.Duration) time.Duration {
	s := &p.slots[n]
	j := s.job
	if j == nil || j.timeout == 0 && j.stopped == nil {
		return 0
	}
	w := p.look(n)
	switch {
	case p.failed != nil || w.State() == chunk.Killed:
		return 0
	case w.State() != chunk.Running: // what comes next has all its time
		return j.timeout
	}
	item := w.Done()
	if s.asked == item {
		if left := s.askedAt + p.grace - now; left > 0 {
			return left
		}
		p.condemn(n, w)
		return 0
	}
	if s.asked >= s.taken && !p.deliver(n, w, nil) {
		return time.Millisecond // the outcome of an item that was asked before is on its way
	}
	why := ErrTaskCancelled
	if j.stopped == nil {
		began := p.board.Began(w.Worker())
		if p.look(n) != w {
			return time.Millisecond // it goes on
		}
		if left := began + j.timeout - now; left > 0 {
			return left
		}
		why = timeLimit(j.timeout)
	} else if item+1 < s.items && p.board.Cut(n, w, item+1) {
		s.items = item + 1
	}
	s.asked, s.askedAt, s.why = item, now, why
	p.workers[w.Worker()].cancel(cancelOrder{Slot: n, Tag: s.tag, Item: item, Timeout: j.stopped == nil})
	return p.grace
}

// condemn is the steps 160 to 162.
func (p *Pool) condemn(n int, w chunk.Word) {
	s := &p.slots[n]
	if !p.board.Condemn(n, w) {
		return
	}
	s.condemned = true
	p.noteLost(n, w)
	if p.deliver(n, w, nil) { // else a result of before is on its way: the death will deliver it, and the outcome
		probe.At(probe.Verdict161)
		p.give(n, w.Done(), w.Worker(), s.why)
		s.judged = true
	}
	probe.At(probe.Verdict162)
	p.workers[w.Worker()].kill()
}

// share takes half of what is left of a chunk whose items were taken for short
// and are long, when somebody has nothing to do. It reports whether there is
// such a chunk.
func (p *Pool) share(n int) bool {
	s := &p.slots[n]
	if s.job == nil || s.job.stopped != nil {
		return false
	}
	w := p.look(n)
	left := w.Limit() - w.Done() - 1
	if p.failed != nil || w.State() != chunk.Running || left < 1 {
		return false
	}
	limit := w.Limit() - (left+1)/2
	if p.board.Cut(n, w, limit) {
		p.takeBack(n, limit, s.items, s.attempts-1)
		s.items = limit
	}
	return true
}
