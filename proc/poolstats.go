package proc

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// Stats tell what the workers of a pool have done so far, in a form that
// encoding/json writes: durations in nanoseconds.
type Stats struct {
	Workers []WorkerStats `json:"workers"` // by index; a place is counted from its first start
	Slowest []SlowTask    `json:"slowest"` // the slowest five of those that were timed by themselves, the slowest first
}

// WorkerStats are those of one place in the pool, of all processes that were
// there one after another.
type WorkerStats struct {
	Worker    int           `json:"worker"`      // index
	Processes int           `json:"processes"`   // how many were started
	Deaths    int           `json:"deaths"`      // how many of these have died, and were not let go
	Tasks     uint64        `json:"tasks"`       // how many outcomes they have brought
	StartUp   time.Duration `json:"start_up_ns"` // from the start of a process to the begin of Init
	Init      time.Duration `json:"init_ns"`     // in Init
	Waiting   time.Duration `json:"waiting_ns"`  // for tasks
	Working   time.Duration `json:"working_ns"`  // on tasks
	Exit      time.Duration `json:"exit_ns"`     // in Exit
}

// A SlowTask is a task that took long: to its end, or until its worker died or was
// killed, in each attempt. What is timed by itself is the only task of its chunk, and of
// those that take workers along also the first one of a chunk, and any that has a time
// limit. Parts of [For] are left out.
type SlowTask struct {
	Func  string        `json:"func"`    // name of the function
	Index int           `json:"index"`   // of the input
	Input string        `json:"input"`   // formatted; empty if it did not lie in the pool's memory: it is large, or holds files
	Took  time.Duration `json:"took_ns"` // how long it has taken
}

const mostSlow = 5

// A slowTask is a SlowTask whose input is not formatted yet: that may call
// methods of the input.
type slowTask struct {
	SlowTask
	fn  *function // nil: there is no input
	arg []byte
}

// noteSlow looks whether an item of a slot is one of the slowest.
func (p *Pool) noteSlow(n, item int, took time.Duration) {
	s := &p.slots[n]
	last := len(p.slowest) - 1
	if s.job.shared != nil || last == mostSlow-1 && took <= p.slowest[last].Took {
		return
	}
	slow := slowTask{SlowTask: SlowTask{Func: s.job.fn.name, Index: s.first + item, Took: took}}
	args := p.board.Published(n)
	for range item {
		_, _, args, _ = chunk.Next(args) // this process has written them
	}
	if kind, data, _, _ := chunk.Next(args); kind == chunk.Value {
		slow.fn, slow.arg = s.job.fn, slices.Clone(data)
	}
	at := 0
	for at < len(p.slowest) && p.slowest[at].Took >= took {
		at++
	}
	p.slowest = append(p.slowest[:at], append([]slowTask{slow}, p.slowest[at:]...)...)
	p.slowest = p.slowest[:min(len(p.slowest), mostSlow)]
}

// noteLost does the same for an item that its worker has in hand, or had when it
// died. When it was begun is known if it is the first one of its chunk, or timed.
func (p *Pool) noteLost(n int, w chunk.Word) {
	if began := p.board.Began(w.Worker()); w.Done() == 0 || p.slots[n].job.timeout > 0 {
		p.noteSlow(n, w.Done(), max(chunk.Now()-began, 0))
	}
}

// Stats returns what the workers have done so far. After the end of the pool it
// is what they had done by then.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	slowest := append([]slowTask(nil), p.slowest...)
	s := Stats{Workers: p.workerStats(), Slowest: []SlowTask{}}
	p.mu.Unlock()
	for _, slow := range slowest {
		if slow.fn != nil {
			slow.Input = slow.fn.describe(&wire.Message{Data: slow.arg})
		}
		s.Slowest = append(s.Slowest, slow.SlowTask)
	}
	return s
}

// workerStats reads the counters, as long as the board is there.
func (p *Pool) workerStats() []WorkerStats {
	if p.final != nil {
		return append([]WorkerStats(nil), p.final...)
	}
	all := make([]WorkerStats, len(p.workers))
	for n, w := range p.workers {
		c := p.board.Counters(n)
		all[n] = WorkerStats{
			Worker: n, Processes: w.processes, Deaths: w.died, Tasks: w.tasks,
			StartUp: max(w.startUp-c.Init, 0), Init: c.Init, Waiting: c.Idle, Working: c.Busy, Exit: c.Exit,
		}
	}
	return all
}

// String is a table for people.
func (s Stats) String() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	round := func(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
	_, _ = fmt.Fprintln(t, "worker\tprocesses\tdeaths\ttasks\tstart-up\tinit\twaiting\tworking\texit\t")
	for _, w := range s.Workers {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", w.Worker, w.Processes, w.Deaths, w.Tasks,
			round(w.StartUp), round(w.Init), round(w.Waiting), round(w.Working), round(w.Exit))
	}
	_ = t.Flush() // it cannot fail: a Builder takes everything
	for i, slow := range s.Slowest {
		fmt.Fprintf(&b, "slowest %d: %s, input %d (%.60s): %s\n", i+1, slow.Func, slow.Index, slow.Input, round(slow.Took))
	}
	return b.String()
}
