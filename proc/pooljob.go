package proc

import (
	"container/list"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A job is one call of a function over inputs, which are numbered from 0. Its
// caller feeds it with spans of inputs and takes deliveries of outcomes; the
// pool does what lies between. Fields are under the pool's lock.
type job struct {
	pool    *Pool
	fn      *function
	id      uint64        // workers know it by
	chunk   int           // items of a chunk; 0: as many as take targetTime
	window  int           // items that were put and not taken, at most; 0: as many as pay
	timeout time.Duration // of one item; 0: none
	retries int           // how often an item is begun again after a worker's death
	shared  *parcel       // argument of all parts; may be nil
	eager   bool          // each outcome is waited for
	patient bool          // what was delivered before it has stopped is still wanted

	// store copies results to where the caller wants them, of as many items as their
	// records allow, see storePlain. It is nil if they are the caller's to decode.
	store func(first, items int, records []byte) (stored, size int)

	again   []span          // inputs that were published already
	fresh   []span          // inputs that were not
	waiting int             // how many there are in fresh
	large   map[int]*parcel // arguments that do not lie in spans
	total   int             // how many there will be; unknownTotal at first
	put     int             // how many have come
	settled int             // how many have an outcome
	taken   int             // how many of these the caller has done with
	out     int             // slots

	place *list.Element // among the pool's jobs; nil: not there

	detach func() bool // from the context of the call; nil if that never ends

	guess int // how many items pay
	bytes int // of a result, the largest mean so far

	inbox     []delivery
	kept      []byte        // results of the last deliveries, with room for more
	stopped   error         // why no outcome is wanted any more
	arrived   chan struct{} // a token: something was delivered, or the job has stopped
	room      chan struct{} // a token: something was taken, or the window has grown
	delivered chan struct{} // closed when all outcomes were delivered, or the job has stopped
	over      chan struct{} // closed when nothing of it is left
}

const unknownTotal = -1

// A delivery is the outcomes of a run of inputs. Either they are records, or
// it is one error, or the results were stored.
type delivery struct {
	first, items int
	worker, pid  int
	attempts     int
	stored       bool // the results are where the caller wants them
	results      []byte
	sent         []*wire.Message // the results that do not lie in records, in order
	err          error
}

// start makes the job known to its pool. It stops when ctx ends.
func (p *Pool) start(ctx context.Context, j *job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	if p.closing {
		return ErrPoolClosed
	}
	j.pool, j.total, j.guess = p, unknownTotal, 1
	j.arrived, j.room, j.over = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	j.delivered = make(chan struct{})
	p.lastJob++
	j.id = p.lastJob
	p.byID[j.id] = j
	p.list(j)
	if ctx.Done() != nil {
		j.detach = context.AfterFunc(ctx, func() { j.stop(context.Cause(ctx)) })
	}
	if j.eager {
		p.eager++
	}
	if j.timeout > 0 {
		p.watched++
	}
	p.idle = time.Now()
	p.grow()
	return nil
}

// post leaves a token in a channel that holds one.
func post(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// limit returns how many items may be put that were not taken.
func (j *job) limit() int {
	if j.window > 0 {
		return j.window
	}
	return max(8, 4*max(j.chunk, j.guess)) * j.pool.target
}

// feed puts inputs that follow those before, and waits until there is room for
// them. One that cannot travel is put with its error, which is its outcome. It
// reports false if no more are wanted; large is closed then.
func (j *job) feed(s span, large *parcel, bad error) bool {
	p := j.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for j.stopped == nil && j.put > j.taken && j.put+s.items-j.taken > j.limit() {
		p.mu.Unlock()
		<-j.room
		p.mu.Lock()
	}
	if j.stopped != nil {
		large.close()
		return false
	}
	s.first = j.put
	j.put += s.items
	if bad != nil {
		j.deliver(delivery{first: s.first, items: s.items, worker: -1, err: fmt.Errorf("encode the argument: %w", bad)})
		return true
	}
	if large != nil {
		if j.large == nil {
			j.large = make(map[int]*parcel)
		}
		j.large[s.first] = large
	}
	j.fresh = append(j.fresh, s)
	j.waiting += s.items
	p.refill()
	return true
}

// fed says that there are no more inputs.
func (j *job) fed() {
	p := j.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.stopped == nil {
		j.total = j.put
		j.complete()
		p.refill()
		j.end()
	}
}

// take waits for outcomes. At the end there are none, and no error. The next ones
// are gathered in spare, which may be what was taken before.
func (j *job) take(ctx context.Context, spare []delivery) ([]delivery, error) {
	for {
		j.pool.mu.Lock()
		inbox, stopped, finished := j.inbox, j.stopped, j.total == j.settled
		if len(inbox) > 0 { // which a job that has stopped has only if it is patient
			j.inbox = spare
		}
		j.pool.mu.Unlock()
		switch {
		case len(inbox) > 0:
			return inbox, nil
		case stopped != nil:
			return nil, stopped
		case finished:
			return nil, nil
		case j.eager:
			if len(j.room) > 0 {
				runtime.Gosched() // the feeder goes first
			}
			if j.attend(ctx) {
				continue
			}
		}
		select {
		case <-j.arrived:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// done says that the caller wants room for so many more inputs.
func (j *job) done(items int) {
	j.pool.mu.Lock()
	defer j.pool.mu.Unlock()
	j.taken += items
	limit := j.limit()
	if j.put-j.taken <= limit-max(1, limit/4) { // several inputs at a time
		post(j.room)
	}
}

// storeAll stores what it can of the results of some items. A caller whose job has
// stopped may have gone.
func (j *job) storeAll(first, items int, records []byte) (stored, size int) {
	if j.store == nil || j.stopped != nil {
		return 0, 0
	}
	return j.store(first, items, records)
}

// mostKept bounds the memory that a few small results can keep alive.
const mostKept = 1 << 15

// keep returns a copy of results, in memory that those of some chunks share.
func (j *job) keep(results []byte) []byte {
	if cap(j.kept)-len(j.kept) < len(results) {
		j.kept = make([]byte, 0, max(len(results), min(2*cap(j.kept), mostKept)))
	}
	at := len(j.kept)
	j.kept = append(j.kept, results...)
	return j.kept[at:len(j.kept):len(j.kept)]
}

// deliver gives items their outcome.
func (j *job) deliver(d delivery) {
	j.settled += d.items
	for i := 0; i < d.items && len(j.large) > 0; i++ {
		if arg := j.large[d.first+i]; arg != nil {
			arg.close()
			delete(j.large, d.first+i)
		}
	}
	if j.stopped != nil {
		d.close()
	} else {
		j.inbox = append(j.inbox, d)
		post(j.arrived)
		j.complete()
	}
}

// complete is called when all outcomes may have been delivered.
func (j *job) complete() {
	if j.stopped == nil && j.settled == j.total {
		post(j.arrived)
		close(j.delivered)
	}
}

// close closes the results that do not lie in records.
func (d *delivery) close() {
	for _, m := range d.sent {
		m.Close()
	}
}

func closeAll(deliveries []delivery) {
	for _, d := range deliveries {
		d.close()
	}
}

// stop ends the job before its time: what was not begun never is, and what is
// under way is cancelled.
func (j *job) stop(why error) {
	p := j.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop(j, why)
}

func (p *Pool) stop(j *job, why error) {
	p.gather(j)
	if !j.halt(why) {
		return
	}
	for i := range p.out.all {
		if p.slots[i].job != j {
			continue
		}
		if w := p.look(i); p.board.Withdraw(i, w) {
			p.release(i)
		}
	}
	j.end()
	p.board.Kick(&p.kicked) // it asks those under way to end
}

// gather delivers what is committed by now of a job that is patient; of all those if
// j is nil.
func (p *Pool) gather(j *job) {
	for i := range p.out.all {
		if of := p.slots[i].job; of != nil && of.patient && (j == nil || j == of) {
			p.collect(i)
		}
	}
}

// halt has the job want nothing any more. It reports false if all outcomes were
// delivered, or if it was called before.
func (j *job) halt(why error) bool {
	if j.stopped != nil || j.total == j.settled {
		return false
	}
	j.stopped = why
	if j.timeout == 0 {
		j.pool.watched++
	}
	j.again, j.fresh, j.waiting = nil, nil, 0
	if !j.patient {
		closeAll(j.inbox)
		j.inbox = nil
	}
	post(j.arrived)
	post(j.room)
	close(j.delivered)
	return true
}

// end is called when the job may be over.
func (j *job) end() {
	if j.out > 0 || j.stopped == nil && j.total != j.settled {
		return
	}
	p := j.pool
	if p.byID[j.id] != j {
		return // it was over before
	}
	delete(p.byID, j.id)
	p.drop(j)
	if j.detach != nil {
		j.detach()
	}
	if j.eager {
		p.eager--
	}
	if j.timeout > 0 || j.stopped != nil {
		p.watched--
	}
	for _, arg := range j.large {
		arg.close()
	}
	j.large = nil
	j.shared.close()
	close(j.over)
	switch {
	case len(p.byID) > 0:
	case p.closing:
		p.dismissAll()
	case p.o.IdleTimeout > 0:
		p.idle = time.Now()
		p.board.Kick(&p.kicked) // it counts the time from now on
	}
}

// list puts a job at the end of the list of those that may have something to
// publish.
func (p *Pool) list(j *job) {
	if j.place == nil {
		j.place = p.jobs.PushBack(j)
	}
}

// drop takes it off.
func (p *Pool) drop(j *job) {
	if j.place != nil {
		p.jobs.Remove(j.place)
		j.place = nil
	}
}

// allOut reports whether there is nothing to publish, and nothing will come but
// what is handed back.
func (j *job) allOut() bool {
	return j.stopped != nil || j.total != unknownTotal && j.waiting == 0 && len(j.again) == 0
}
