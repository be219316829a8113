package proc

import (
	"context"
	"sync"

	"github.com/go-multiproc/multiproc/internal/spin"
)

// attention is goroutines that wait for results and look for them themselves, for
// about as long as waking the pool's goroutine takes, and being woken by it. The
// first one keeps workers from waking that, and the last one ends it.
type attention struct {
	all    sync.WaitGroup // the memory must stay
	count  int            // under the pool's lock
	budget spin.Budget    // how long it pays to look
}

// attend looks for a job's outcomes, and delivers what there is of any job. It
// reports whether there is something to take, and looks no longer than ctx lasts.
func (j *job) attend(ctx context.Context) bool {
	p := j.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil || j.news() {
		return j.news()
	}
	p.attend.all.Add(1)
	defer p.attend.all.Done()
	if p.attend.count++; p.attend.count == 1 {
		p.board.Attend()
	}
	look := func() bool { return len(j.arrived) > 0 || p.board.AnyFinished() }
	for found := true; found && !j.news() && p.failed == nil && ctx.Err() == nil; {
		p.mu.Unlock()
		found = p.attend.budget.Until(look)
		p.mu.Lock()
		p.tend(j)
	}
	if p.attend.count--; p.attend.count == 0 {
		if !p.board.Unattend() {
			p.kicked.Store(true)
		}
		p.tend(j) // what was finished until now has woken nobody
	}
	return j.news()
}

// tend delivers what is finished.
func (p *Pool) tend(j *job) {
	select {
	case <-j.arrived: // it says no more than j itself
	default:
	}
	if p.failed == nil && p.board.AnyFinished() {
		p.board.Finished(p.collect)
		p.refill()
	}
}

// news reports whether there is something to take.
func (j *job) news() bool { return j.stopped != nil || len(j.inbox) > 0 || j.settled == j.total }
