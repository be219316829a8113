package proc

import (
	"runtime"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/probe"
)

// sweepPeriod bounds the sleep of step 172. Only stopped processes need it.
var sweepPeriod = 100 * time.Millisecond

// quietPeriod is after how long a pool without work sleeps without bound.
var quietPeriod = time.Second

// sharePeriod is between looks for work to share.
const sharePeriod = 5 * time.Millisecond

// run is the pool's own goroutine: it collects results, publishes what was
// waiting for slots, and looks after time limits, until all workers have ended.
func (p *Pool) run(stop func() bool) {
	for {
		p.mu.Lock()
		eager := p.pass()
		if p.running == 0 && (p.failed != nil || p.closing && len(p.byID) == 0) {
			break
		}
		need, bound := p.plan()
		p.mu.Unlock()
		if eager {
			runtime.Gosched() // whoever waited for a result goes first
		}
		p.board.Pause(need, bound, &p.kicked)
	}
	if p.failed == nil {
		p.failed = ErrPoolClosed
	}
	for _, w := range p.workers {
		w.forgetSent()
	}
	for n := range p.slots {
		if p.slots[n].job != nil { // the pool has failed: nobody wants what it held
			p.release(n)
		}
	}
	for _, j := range p.byID {
		j.end()
	}
	p.final = p.workerStats()
	for _, b := range p.bounds {
		b.close()
	}
	p.kill()
	p.mu.Unlock()
	stop()
	p.attend.all.Wait()
	_ = p.board.Close() // only the counts of what was lost could fail
	close(p.ended)
}

// pass looks once at everything that may have changed. It reports whether
// somebody waits for a single result that has come.
func (p *Pool) pass() (eager bool) {
	p.kicked.Store(false)
	if p.failed != nil {
		return false
	}
	collect := func(n int) {
		probe.At(probe.Collect140)
		eager = eager || p.slots[n].job != nil && p.slots[n].job.eager
		p.collect(n)
	}
	p.board.Finished(collect)
	if now := time.Now(); now.Sub(p.swept) >= sweepPeriod {
		p.swept = now
		for n := range p.out.all {
			collect(n)
		}
		if p.board.Backlog() > 0 {
			p.board.WakeOne()
		}
		if err := p.board.Check(); err != nil {
			p.fail(err)
		}
	}
	p.refill()
	return eager
}

// plan returns when the pool's goroutine should look again: when fewer than so
// many chunks are left to claim, and after which time; 0 means never.
func (p *Pool) plan() (need int, bound time.Duration) {
	busy := len(p.free) < chunk.Slots || !p.board.CanPublish() // what was withdrawn may fill the ring
	now := chunk.Now()
	p.busy = busy
	if busy {
		bound = sweepPeriod
		p.idle = time.Now()
	}
	shared, share := false, p.worthSharing()
	if p.watched > 0 || share {
		for n := range p.out.all {
			if wait := p.judge(n, now); wait > 0 {
				bound = min(bound, wait)
			}
			shared = shared || share && p.share(n)
		}
	}
	if shared {
		p.refill()
		bound = min(bound, sharePeriod)
	}
	if !busy {
		bound = p.rest()
	}
	p.attentive = bound > 0 && bound <= sweepPeriod
	need = chunk.Any
	switch {
	case p.attend.count > 0:
		need = chunk.Attended
	case busy && p.eager == 0:
		need = max(1, p.board.Backlog()/2)
	}
	return need, bound
}

// worthSharing reports whether a worker has nothing to do, and nothing is left
// for it.
func (p *Pool) worthSharing() bool { return p.board.Backlog() == 0 && p.board.Asleep() > 0 }

// idleFor returns for how long there was no work. It counts from the first
// worker's being ready, for which NewPool waits.
func (p *Pool) idleFor() time.Duration {
	select {
	case <-p.ready:
		return time.Since(p.idle)
	default:
		return 0
	}
}

// rest lets workers go that were not needed for a while. It returns when to
// look again.
func (p *Pool) rest() time.Duration {
	since := p.idleFor()
	if p.o.IdleTimeout > 0 && since > 0 && len(p.byID) == 0 {
		if left := p.o.IdleTimeout - since; left > 0 {
			return left
		}
		p.shrink(p.o.MinWorkers)
		return 0
	}
	if since < quietPeriod {
		return sweepPeriod
	}
	return 0
}
