package proc

import "github.com/go-multiproc/multiproc/internal/chunk"

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
			idle = max(0, idle-1) // it is not in the list any more
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
