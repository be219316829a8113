package proc

import (
	"fmt"
	"time"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// headStart is for how long the first worker of a new pool is alone, unless there is
// more to do than it can take: NewPool and the first result wait for it, and others that
// start would take processors from it.
var headStart = 10 * time.Millisecond

// endHeadStart starts the others, unless that was done, or the pool has ended.
func (p *Pool) endHeadStart() {
	if p.alone && p.failed == nil {
		p.alone = false
		p.grow()
	}
}

// grow starts workers up to the target.
func (p *Pool) grow() {
	target := p.target
	if p.alone {
		target = 1
	}
	for n := 0; n < target; n++ {
		if n == len(p.workers) {
			p.workers = append(p.workers, &worker{pool: p, index: n, sent: make(map[sentKey]*wire.Message)})
		}
		if w := p.workers[n]; !w.kept {
			w.kept = true
			p.running++
			go w.keep()
		}
	}
}

// shrink asks workers above a number to leave.
func (p *Pool) shrink(workers int) {
	for n := workers; n < len(p.workers); n++ {
		p.workers[n].dismiss()
	}
}

func (p *Pool) dismissAll() { p.shrink(0) }

// able returns how many workers can take a chunk if they are awake, at least.
func (p *Pool) able() (n int) {
	if p.o.MaxTasks > 0 || p.o.MaxResident > 0 {
		return 0 // any of them may be about to leave
	}
	for _, w := range p.workers {
		if w.proc != nil && w.ready && !w.leaving && !w.doomed {
			n++
		}
	}
	return n
}

// Resize changes how many workers the pool has. Those that are too many leave
// after the task that they have in hand. It returns at once.
func (p *Pool) Resize(workers int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.failed != nil:
		return p.failed
	case p.closing:
		return ErrPoolClosed
	case workers < 1 || workers > mostWorkers:
		return fmt.Errorf("proc: resize a pool to %d workers: from 1 to %d are possible", workers, mostWorkers)
	}
	p.target = workers
	p.grow()
	p.shrink(workers)
	return nil
}

// Workers returns how many workers the pool is to have.
func (p *Pool) Workers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}
