package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A worker is a place for one process at a time.
type worker struct {
	pool  *Pool
	index int
	kept  bool // a goroutine keeps a process here

	// Under the pool's lock.
	proc    *Process // nil between two
	pid     int      // of the last one
	ready   bool
	leaving bool        // it was asked to, or is about to
	hurry   *time.Timer // then, until it has ended
	entered bool        // it has come to the initialiser
	doomed  bool        // killed by us
	began   time.Time
	deaths  int       // in a row without a task, completed or in hand
	refused time.Time // since when the system has refused each process here; zero: it has not
	tasks   uint64    // committed, by all processes
	before  uint64    // the last one's start: what tasks was then
	sent    map[sentKey]*wire.Message

	processes, died int
	startUp         time.Duration // of all of them, Init included
}

// wanted reports whether there should be a process at this place.
func (w *worker) wanted() bool {
	p := w.pool
	switch {
	case p.failed != nil || p.closing && len(p.byID) == 0:
		return false
	case w.index >= p.target:
		return false
	}
	return p.o.IdleTimeout == 0 || w.index < p.o.MinWorkers || len(p.byID) > 0 || p.idleFor() < p.o.IdleTimeout
}

// keep has a process work at this place until there should be none.
func (w *worker) keep() {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	w.refused = time.Time{}
	for w.wanted() {
		if delay := w.backOff(); delay > 0 {
			p.mu.Unlock()
			select {
			case <-time.After(delay):
			case <-p.life.Done():
			}
			p.mu.Lock()
			if !w.wanted() {
				break
			}
		}
		w.live()
	}
	w.kept = false
	p.running--
	p.board.Kick(&p.kicked)
}

// live has one process work at this place until it ends. The pool's lock is
// released meanwhile.
func (w *worker) live() {
	p := w.pool
	w.ready, w.entered, w.doomed, w.began, w.before = false, false, false, time.Now(), w.tasks
	w.stay()
	p.mu.Unlock()
	proc, words, err := w.spawn()
	if err != nil {
		p.log(slog.LevelWarn, "worker not started", "worker", w.index, "error", err)
	} else {
		p.log(slog.LevelDebug, "worker started", "worker", w.index, "pid", proc.Pid())
	}
	p.mu.Lock()
	if err != nil {
		p.refusal(w, err)
		return
	}
	w.refused = time.Time{}
	w.proc, w.pid = proc, proc.Pid()
	w.processes++
	if p.failed != nil {
		proc.Terminate()
	}
	if p.o.InitTimeout > 0 {
		defer time.AfterFunc(p.o.InitTimeout, func() { w.overdue(proc) }).Stop()
	}
	p.mu.Unlock()
	<-proc.Done()
	code, _ := proc.ExitCode()
	died := &WorkerDiedError{Worker: w.index, Pid: proc.Pid(), Code: code, Stderr: words.last(code)}
	p.mu.Lock()
	w.proc = nil
	hadTask, expected := p.settle(w, proc, died)
	p.board.Kick(&p.kicked)
	p.mu.Unlock()
	if expected {
		p.log(slog.LevelDebug, "worker ended", "worker", w.index, "pid", died.Pid, "code", died.Code)
	} else {
		p.log(slog.LevelWarn, "worker died", "worker", w.index, "pid", died.Pid, "code", died.Code, "had a task", hadTask)
	}
	p.mu.Lock()
}

// overdue fails the pool if a process should be ready by now and is not.
func (w *worker) overdue(proc *Process) {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.proc == proc && !w.ready && !w.leaving {
		p.fail(w.initError(timeLimit(p.o.InitTimeout)))
	}
}

// log is called without the pool's lock: a handler may ask the pool how it is.
func (p *Pool) log(level slog.Level, what string, args ...any) {
	if p.o.Logger != nil {
		p.o.Logger.Log(context.Background(), level, what, args...)
	}
}

// settle does what follows from a worker's end. It reports whether the end took a
// task along, and whether the pool had it end, or let it.
func (p *Pool) settle(w *worker, proc *Process, died *WorkerDiedError) (hadTask, expected bool) {
	if w.hurry != nil {
		w.hurry.Stop()
		w.hurry = nil
	}
	if p.failed == nil {
		hadTask = p.bury(w, proc, died)
	}
	if w.tasks == w.before && !hadTask && !w.doomed && !w.leaving {
		w.deaths++
	} else {
		w.deaths = 0
	}
	expected = !hadTask && (died.Code == 0 || w.leaving)
	if !expected {
		w.died++
	}
	var failed *RemoteError
	var panicked *PanicError
	told := errors.As(proc.failure, &failed) || errors.As(proc.failure, &panicked)
	switch {
	case p.failed != nil:
	case w.ready && told:
		if p.exit == nil {
			p.exit = fmt.Errorf("proc: the pool's exit function %s has failed: %w", p.o.Exit.name, proc.failure)
		}
	case w.ready || w.leaving: // an initialiser that was asked to end may say so by an error
	case told && died.Code != -int(unix.SIGTERM): // that of who was asked to end by a signal
		p.fail(w.initError(proc.failure))
	default:
		p.barrenDeath(w, died.why(proc))
	}
	return hadTask, expected || w.doomed || p.failed != nil
}

// initError returns the pool's error if w has not become ready.
func (w *worker) initError(err error) error {
	if !w.entered {
		return &InitError{Err: err}
	}
	return &InitError{Func: w.pool.o.Init.name, Err: err}
}

// mostBarren is after how many deaths in a row, none of the workers being ready,
// a pool gives up.
const mostBarren = 3

// barrenDeath counts a worker that has not become ready.
func (p *Pool) barrenDeath(w *worker, err error) {
	w.deaths++
	if slices.ContainsFunc(p.workers, func(w *worker) bool { return w.proc != nil && w.ready }) {
		return
	}
	if p.barren++; p.barren >= mostBarren {
		p.fail(w.initError(fmt.Errorf("%d of them in a row have ended before they were ready, the last one: %w", p.barren, err)))
	}
}

// mostRefused is for how long the system may refuse a pool that was ready each new
// worker, while it has none.
var mostRefused = time.Second

// refusal counts a process that the system has not started. NewPool is told soon.
// Later the lack may be for a moment, and all places see it at once: it counts how
// long it lasts.
func (p *Pool) refusal(w *worker, err error) {
	select {
	case <-p.ready:
	default:
		p.barrenDeath(w, err)
		return
	}
	w.deaths++
	if w.refused.IsZero() {
		w.refused = time.Now()
	}
	if slices.ContainsFunc(p.workers, func(w *worker) bool { return w.proc != nil }) {
		return
	}
	if since := time.Since(w.refused); since >= mostRefused {
		p.fail(w.initError(fmt.Errorf("the system has refused them for %v, the last one: %w", since.Round(time.Millisecond), err)))
	}
}

// backOff returns how long to wait before the next process: those that die
// without having done anything come more and more slowly.
func (w *worker) backOff() time.Duration {
	if w.deaths < 2 {
		return 0
	}
	return min(10*time.Millisecond<<min(w.deaths-2, 10), time.Second)
}

func workerName(index int) string { return "Worker-" + strconv.Itoa(index) }

// spawn starts a process at this place.
func (w *worker) spawn() (_ *Process, _ *lastWords, err error) {
	p := w.pool
	words, stderr, err := newLastWords(p.stderr)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		_ = stderr.Close() // the worker has its own
		if err != nil {
			words.last(0)
		}
	}()
	shared, args := p.board.Files()
	order := workerOrder{
		Index: w.index, Workers: p.Workers(),
		Shared: &File{shared}, Args: &File{args},
		Init: p.o.Init.name, Exit: p.o.Exit.name,
		MaxTasks: p.o.MaxTasks, MaxResident: p.o.MaxResident,
		Limits: p.o.Limits, Pin: p.o.Pin,
	}
	m, err := encodeOrder(order)
	if err != nil {
		return nil, nil, err
	}
	proc, err := start(context.Background(), workerProgram, m, &Options{
		Name:   workerName(w.index),
		Grace:  p.grace,
		stderr: stderr,
		handle: w.handle,
	})
	if err != nil {
		m.Close()
		return nil, nil, explain(err)
	}
	return proc, words, nil
}

// handle takes a frame of the worker. It is called by the goroutine that reads
// its socket.
func (w *worker) handle(proc *Process, kind byte, m *wire.Message) {
	p := w.pool
	switch kind {
	case frameReady:
		p.mu.Lock()
		defer p.mu.Unlock()
		w.ready, p.barren = true, 0
		w.startUp += time.Since(w.began)
		select {
		case <-p.ready:
		default:
			p.idle = time.Now()
			close(p.ready)
			p.board.Kick(&p.kicked)
		}
	case frameFetch:
		var o fetchOrder
		if wire.Decode(m, reflect.ValueOf(&o).Elem()) == nil {
			w.answer(proc, o)
		}
	case frameSent:
		key, err := cutSentKey(m)
		if err != nil {
			return // what it announces will be missed
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if s := &p.slots[key.slot]; s.job == nil || s.tag != key.tag {
			return
		}
		w.sent[key].Close()
		w.sent[key] = &wire.Message{Data: m.Data, Files: m.Files}
		m.Files = nil // taken over
		p.collect(key.slot)
		p.refill()
	}
}

// answer sends an argument.
func (w *worker) answer(proc *Process, o fetchOrder) {
	p := w.pool
	p.mu.Lock()
	var arg *parcel
	switch j := p.byID[o.Job]; {
	case o.Job == initJob:
		w.entered = true // its limits are set: what goes wrong now is the initialiser's
		arg = p.bounds[0]
	case o.Job == exitJob:
		arg = p.bounds[1]
	case j == nil || j.stopped != nil:
	case o.Item == sharedItem:
		arg = j.shared
	default:
		arg = j.large[o.Item]
	}
	p.mu.Unlock()
	err := arg.lend(func(m *wire.Message) error { return proc.send(frameFetched, m) })
	if err == nil {
		return
	}
	var why wire.Message // empty: nobody wants it any more
	if err != errGivenUp {
		why.Data = []byte(fmt.Sprintf("send the argument: %v", err))
	}
	_ = proc.send(frameWithdrawn, &why) // it has ended, then
}

// cancel asks the worker to end an item. It does not wait for the socket.
func (w *worker) cancel(o cancelOrder) {
	proc := w.proc
	if proc == nil {
		return
	}
	m, err := wire.Encode(reflect.ValueOf(o))
	if err != nil {
		return // cannot happen: it is a struct of numbers
	}
	go func() { _ = proc.send(frameCancel, m) }() // if it has ended there is nothing to cancel
}

// forgetSent drops results that came and were not committed.
func (w *worker) forgetSent() {
	for _, m := range w.sent {
		m.Close()
	}
	clear(w.sent)
}

func (w *worker) kill() {
	w.doomed = true
	if w.proc != nil {
		w.proc.Kill()
	}
}

func (w *worker) terminate() {
	w.leaving = true
	if w.proc != nil {
		w.proc.Terminate()
	}
}

func (w *worker) dismiss() {
	if w.kept && !w.leaving {
		w.leaving = true
		w.pool.board.Dismiss(w.index)
		w.hurryLater()
	}
}

// stay takes back a dismissal that has found no process here: it is not for the next one.
func (w *worker) stay() {
	if w.hurry != nil {
		w.hurry.Stop()
		w.hurry = nil
	}
	w.leaving = false
	w.pool.board.Forget(w.index)
}

// hurryLater terminates a worker that was dismissed and has not gone after a
// while, unless it has a task in hand: it is stopped, or its last function hangs.
func (w *worker) hurryLater() {
	p := w.pool
	var t *time.Timer
	t = time.AfterFunc(p.grace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case w.hurry != t || !w.kept: // it has ended
		case w.proc == nil || p.holds(w):
			w.hurryLater()
		default:
			w.proc.Terminate()
		}
	})
	w.hurry = t
}
