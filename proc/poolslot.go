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

// mostAtOnce is how many chunks are published before workers are told: each
// time takes a cache line away from all of them.
const mostAtOnce = 16

// refill publishes chunks while there are inputs and slots.
func (p *Pool) refill() {
	published := 0
	for idle := 0; idle < p.jobs.Len() && len(p.free) > 0 && p.board.CanPublish() && p.failed == nil; {
		first := p.jobs.Front()
		j := first.Value.(*job)
		idle++
		if p.publish(j) {
			idle = 0
			if published++; published == mostAtOnce {
				p.announce(published)
				published = 0
			}
		}
		if j.allOut() {
			p.drop(j)
		} else {
			p.jobs.MoveToBack(first) // the others have their turn
		}
	}
	if published > 0 {
		p.announce(published)
	}
}

// announce tells workers of n chunks that were published. Who is awake and has
// no chunk looks for one before it sleeps. So nobody needs to be woken unless
// more are out than workers awake; and those that were woken for nothing would
// take the processor from those that are at it.
func (p *Pool) announce(n int) {
	p.board.Announce()
	asleep := p.board.Asleep()
	if asleep == 0 {
		return
	}
	for awake := p.able() - asleep; n > 0 && awake < chunk.Slots-len(p.free) && p.board.WakeOne(); n-- {
		awake++
	}
}

// publish publishes one chunk of a job, and reports whether there was one.
func (p *Pool) publish(j *job) bool {
	if j.chunk == 0 && j.guess == 1 && j.out >= 4*p.target && !j.eager {
		return false // nothing is known of them: better guess again when some are done
	}
	n := p.free[len(p.free)-1]
	first, items, attempts := j.next(p.board.Arguments(n))
	if items == 0 {
		return false
	}
	p.free = p.free[:len(p.free)-1]
	p.out.add(n)
	p.lastTag = (p.lastTag + 1) & chunk.TagMask
	p.slots[n] = slot{job: j, tag: p.lastTag, first: first, items: items, attempts: attempts + 1, asked: -1}
	j.out++
	head := chunk.Head{Func: j.fn.id, Job: j.id, First: uint64(first), Items: uint32(items)}
	if j.timeout > 0 {
		head.Flags |= chunk.Timed
	}
	if j.shared != nil {
		head.Flags |= chunk.Shared
	}
	p.board.Publish(n, p.lastTag, head)
	if len(p.free) < chunk.Slots-1 { // there is another one out
		p.endHeadStart()
	}
	soon := 0 < j.timeout && j.timeout < sweepPeriod && j.out == 1 // the pool's goroutine has not seen its like
	if !p.busy && !p.attentive || soon {
		p.busy = true
		p.board.Kick(&p.kicked) // it sleeps for longer than it may now
	}
	return true
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

// bury is the steps 150 to 155, for a worker that was waited for.
func (p *Pool) bury(w *worker, proc *Process, died *WorkerDiedError) (hadTask bool) {
	lost := error(died)
	if proc.failure != nil { // what it sent could not be received, and so it was killed
		lost = fmt.Errorf("%w: %w", died, proc.failure)
	}
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
