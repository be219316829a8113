package proc

import "time"

// WithoutSweeps takes away the net under lost wakes: only a worker that was stopped
// needs it, none that has died.
func WithoutSweeps() { sweepPeriod = time.Hour }

// WithSweeps puts it back.
func WithSweeps() { sweepPeriod = 100 * time.Millisecond }

// WithShortLastWords has the end of a worker wait a shorter time for what it has
// written. What it returns ends that.
func WithShortLastWords() (end func()) {
	before := lastWordsWait
	lastWordsWait = 200 * time.Millisecond
	return func() { lastWordsWait = before }
}

// WithHeadStart leaves the first worker of a new pool alone for another time. What it
// returns ends that.
func WithHeadStart(d time.Duration) (end func()) {
	before := headStart
	headStart = d
	return func() { headStart = before }
}

// WithRefusals has pools without workers bear for another time that the system refuses
// them. What it returns ends that.
func WithRefusals(d time.Duration) (end func()) {
	before := mostRefused
	mostRefused = d
	return func() { mostRefused = before }
}

// Asleep returns how many workers sleep.
func (p *Pool) Asleep() int { return p.board.Asleep() }

// WithoutQuiet has a pool without work sleep without bound at once. What it returns
// ends that.
func WithoutQuiet() (end func()) {
	before := quietPeriod
	quietPeriod = 0
	return func() { quietPeriod = before }
}

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
