package proc

import (
	"testing"
	"time"
)

// NoSweeps takes away the net under lost wakes, for good: only a worker that was
// stopped needs it, none that has died.
func NoSweeps() { sweepPeriod = time.Hour }

// WithoutSweeps does that until the end of the test.
func WithoutSweeps(t testing.TB) { set(t, &sweepPeriod, time.Hour) }

// WithShortLastWords has the end of a worker wait a shorter time for what it has
// written.
func WithShortLastWords(t testing.TB) { set(t, &lastWordsWait, 200*time.Millisecond) }

// WithHeadStart leaves the first worker of a new pool alone for another time.
func WithHeadStart(t testing.TB, d time.Duration) { set(t, &headStart, d) }

// WithRefusals has pools without workers bear for another time that the system refuses
// them.
func WithRefusals(t testing.TB, d time.Duration) { set(t, &mostRefused, d) }

// WithoutQuiet has a pool without work sleep without bound at once.
func WithoutQuiet(t testing.TB) { set(t, &quietPeriod, 0) }

// set puts another value in the place of one that the goroutines of pools read. It is
// put back when the pools that the test begins from here on have ended; a defer would
// do so beside them.
func set(t testing.TB, p *time.Duration, d time.Duration) {
	before := *p
	*p = d
	t.Cleanup(func() { *p = before })
}

// Asleep returns how many workers sleep.
func (p *Pool) Asleep() int { return p.board.Asleep() }

// Overdue does what follows when InitTimeout has passed since the start of each
// worker.
func (p *Pool) Overdue() {
	p.mu.Lock()
	now := make(map[*worker]*Process)
	for _, w := range p.workers {
		now[w] = w.proc
	}
	p.mu.Unlock()
	for w, proc := range now {
		w.overdue(proc)
	}
}

// BackOff returns how long it would take now until dead workers are replaced.
func (p *Pool) BackOff() (d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		d = max(d, w.backOff())
	}
	return d
}
