//go:build crash

package shm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// doomedQueues are actors that can be armed: the next passage of the step ends
// or stops them.
var doomedQueues = map[string]*proctest.Program{
	"slots":   proctest.Register("doomed queue actor", queueActor[int64]("slots", armed)),
	"records": proctest.Register("doomed queue actor, records", queueActor[string]("records", armed)),
}

func armed(order string) bool {
	var point, sig int
	n, _ := fmt.Sscanf(order, "arm %d %d", &point, &sig)
	if n == 2 {
		probe.Arm(probe.Point(point), syscall.Signal(sig))
	}
	return n == 2
}

// A queuePassage brings the victim to one step. The queue has room for two. The
// victim puts 10 and 11, a waiter 20, who died before 15, and we 8 and 9.
type queuePassage struct {
	point  probe.Point
	only   string      // one kind of items: records are put one by one
	before []int       // what is in the queue
	setup  string      // closed, orphaned, registered (by the victim), got (by the victim), counted
	dead   probe.Point // where somebody else has died before
	waiter string      // what a survivor waits with
	order  string      // in which the victim passes the step
	then   string      // what is done when both sleep, the victim before the waiter: wakes the victim

	resolved string // what the waiter says because of the death alone
	left     []int  // what is in the queue then; what the waiter has put and got is included
}

func (p queuePassage) String() string {
	name := p.point.String() + " " + p.order
	if p.dead != 0 {
		name += " after " + p.dead.String()
	}
	if p.setup != "" {
		name += " " + p.setup
	}
	return strings.ReplaceAll(name, " ", "-")
}

var queuePassages = slices.Concat(puttingPassages, gettingPassages, sleepingPassages, endingPassages)

var puttingPassages = []queuePassage{
	{point: probe.Put30, order: "put 10", waiter: "get"},
	{point: probe.Put31, order: "put 10", waiter: "get", dead: probe.Put33},
	{point: probe.Put32, order: "put 10", waiter: "get"},
	{point: probe.Put33, order: "put 10", waiter: "get"},
	{point: probe.Put34, order: "put 10", waiter: "get"},
	{point: probe.Put35, order: "put 10", waiter: "get", resolved: "got 10"},
	{point: probe.Put36, order: "put 10", waiter: "get", resolved: "got 10"},
	{point: probe.Put33, only: "slots", order: "put 10 11", waiter: "get"},
	{point: probe.Put34, only: "slots", order: "put 10 11", waiter: "get"},
	{point: probe.Put35, only: "slots", order: "put 10 11", waiter: "get 2", resolved: "got 10 11"},
	{point: probe.Put36, only: "slots", order: "put 10 11", waiter: "get", resolved: "got 10", left: []int{11}},
	{point: probe.Put34, order: "tryput 10"},
	{point: probe.Put35, order: "tryput 10", left: []int{10}},
}

var gettingPassages = []queuePassage{
	{point: probe.Get40, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get41, order: "get", before: []int{1, 2}, waiter: "put 20", dead: probe.Get43, left: []int{1, 2}},
	{point: probe.Get42, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get43, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get44, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get45, order: "get", before: []int{1, 2}, waiter: "put 20", resolved: "ok", left: []int{2, 20}},
	{point: probe.Get46, order: "get", before: []int{1, 2}, waiter: "put 20", resolved: "ok", left: []int{2, 20}},
	{point: probe.Get43, order: "tryget", before: []int{1}, left: []int{1}},
	{point: probe.Get45, order: "tryget", before: []int{1, 2}, left: []int{2}},
}

var sleepingPassages = []queuePassage{
	{point: probe.Wait51, order: "get", waiter: "get"},
	{point: probe.Wait52, order: "get", waiter: "get"},
	{point: probe.Wait53, order: "get", waiter: "get"},
	{point: probe.Wait54, order: "get", waiter: "get"},
	{point: probe.Wait55, order: "get", waiter: "get", then: "put 9", resolved: "got 9"},
	{point: probe.Wait55, order: "get", waiter: "get", then: "put 8 9", resolved: "got 8", left: []int{9}},
	{point: probe.Wait61, order: "cancel get", waiter: "get"},
	{point: probe.Wait51, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait52, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait53, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait54, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait55, order: "put 10", before: []int{1, 2}, waiter: "put 20", then: "get", resolved: "ok", left: []int{2, 20}},
	{point: probe.Wait61, order: "cancel put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
}

var endingPassages = []queuePassage{
	{point: probe.Close56, order: "close", waiter: "get"},
	{point: probe.Close56, order: "get", setup: "orphaned"},
	{point: probe.Seal57, order: "get", setup: "closed"},
	{point: probe.Seal57, order: "get", setup: "orphaned"},
	{point: probe.Last59, order: "get", setup: "closed"},
	{point: probe.Last59, order: "get", setup: "orphaned"},
	{point: probe.Put31, order: "get", setup: "closed", dead: probe.Last59},
	{point: probe.Last59, order: "get", setup: "closed", dead: probe.Last59},
	{point: probe.Last59, order: "get", setup: "orphaned", dead: probe.Close56},
	{point: probe.Register58, order: "register", waiter: "get"},
	{point: probe.Put31, order: "register", dead: probe.Put33, waiter: "get"},
	{point: probe.Register58, order: "deregister", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Member62, order: "detach", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Member62, order: "detach", waiter: "get"},
	{point: probe.Put33, order: "put 10", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Put35, order: "put 10", setup: "registered", waiter: "get", resolved: "got 10"},
	{point: probe.Done60, order: "done 1", setup: "got", before: []int{1}, waiter: "join", resolved: "ok"},
	{point: probe.Get44, order: "get", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
	{point: probe.Get45, order: "get", setup: "counted", before: []int{1}, waiter: "join", resolved: "ok"},
	{point: probe.Get41, order: "join", setup: "counted", dead: probe.Get43, before: []int{1}, left: []int{1}},
	{point: probe.Wait53, order: "join", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
	{point: probe.Wait54, order: "join", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
}

// recoveringPassages are those of who takes a lock whose holder has died: it is
// killed at each of its steps as well.
func recoveringPassages() (all []queuePassage) {
	for _, dead := range probe.Points(probe.Put32, probe.Put36) {
		for _, point := range probe.Points(probe.Put31, probe.Put36) {
			p := queuePassage{point: point, dead: dead, order: "put 10"}
			if dead >= probe.Put35 {
				p.left = append(p.left, 15)
			} else {
				p.waiter = "get"
			}
			if point >= probe.Put35 && p.waiter != "" {
				p.resolved = "got 10"
			} else if point >= probe.Put35 {
				p.left = append(p.left, 10)
			}
			all = append(all, p)
		}
	}
	for _, dead := range probe.Points(probe.Get42, probe.Get46) {
		for _, point := range probe.Points(probe.Get41, probe.Get46) {
			p := queuePassage{point: point, dead: dead, order: "get", before: []int{1, 2}, left: []int{1, 2}}
			if dead >= probe.Get45 {
				p.left = p.left[1:]
			} else {
				p.waiter = "put 20"
			}
			if point >= probe.Get45 {
				p.left = p.left[1:]
			}
			if point >= probe.Get45 && p.waiter != "" {
				p.resolved = "ok"
				p.left = append(slices.Clone(p.left), 20)
			}
			all = append(all, p)
		}
	}
	return all
}

// Every step of the queue is in the tables.
func TestQueuePassagesAreComplete(t *testing.T) {
	passed := map[probe.Point]bool{}
	for _, p := range queuePassages {
		passed[p.point] = true
	}
	for _, point := range probe.Points(probe.Put30, probe.Member62) {
		require.True(t, passed[point], "%v", point)
	}
}

// A queueScene is the stage of one passage.
type queueScene struct {
	*numberQueue
	t                         *testing.T
	victim, waiting, survivor *proctest.Proc
	looks                     bool  // actors look now and then on their own account
	took                      []int // what we got on the way
}

// atQueuePassages runs a test at each passage, for both kinds of items. It
// returns how many there were.
func atQueuePassages(t *testing.T, passages []queuePassage, sig syscall.Signal, test func(*testing.T, *queueScene, queuePassage)) (n int) {
	for kind, make := range numberKinds {
		t.Run(kind, func(t *testing.T) {
			for _, p := range passages {
				if p.only != "" && p.only != kind {
					continue
				}
				n++
				t.Run(p.String(), func(t *testing.T) {
					proctest.NoLeaks(t)
					counted := p.setup == "got" || p.setup == "counted"
					s := &queueScene{t: t, numberQueue: make(t, 2, counted), looks: sig == syscall.SIGSTOP}
					s.drive(p, sig)
					test(t, s, p)
				})
			}
		})
	}
	return n
}

// drive brings a victim to the step, where sig hits it.
func (s *queueScene) drive(p queuePassage, sig syscall.Signal) {
	t := s.t
	s.victim, s.survivor = s.startActor(t, doomedQueues, s.looks), s.startActor(t, queueActors, s.looks)
	for _, n := range p.before {
		require.NoError(t, s.tryPut(n))
	}
	switch p.setup {
	case "closed":
		require.NoError(t, s.closeAll())
	case "orphaned":
		last := s.startActor(t, queueActors, s.looks)
		obey(t, last, "ok", "register")
		last.Kill(t)
	case "registered":
		obey(t, s.victim, "ok", "register")
	case "got":
		obey(t, s.victim, "got 1", "get")
	}
	if p.dead != 0 {
		first, o := s.startActor(t, doomedQueues, s.looks), "get"
		if p.dead <= probe.Put36 {
			o = "put 15"
		}
		obey(t, first, "ok", armOrder(p.dead, syscall.SIGKILL))
		first.Tell(t, o)
		require.ErrorContains(t, first.Wait(t), "killed")
	}
	wait := func() {
		if p.waiter != "" {
			s.waiting = s.startActor(t, queueActors, s.looks)
			s.waiting.Tell(t, p.waiter)
			awaitQueueSleeper(t, s.waiting.Pid())
		}
	}
	if p.then == "" {
		wait()
	}
	obey(t, s.victim, "ok", armOrder(p.point, sig))
	s.victim.Tell(t, p.order)
	switch words := strings.Fields(p.then + " ."); words[0] {
	case "put":
		awaitQueueSleeper(t, s.victim.Pid())
		wait()
		require.Equal(t, "ok", s.act(p.then))
	case "get":
		awaitQueueSleeper(t, s.victim.Pid())
		wait()
		s.took = append(s.took, gotten(t, s.act(p.then))...)
	}
}

func armOrder(point probe.Point, sig syscall.Signal) string {
	return fmt.Sprintf("arm %d %d", point, sig)
}

// A process is killed at each step in turn, and nobody looks on his own account.
// Who waited for what it did goes on by its death; whoever was there and whoever
// comes new can use the queue; what was committed is there once, and nothing
// else: what a consumer had got by its commit, and nothing more, is lost.
func TestQueueKilledAtEachStep(t *testing.T) {
	n := atQueuePassages(t, queuePassages, syscall.SIGKILL, survivePassage)
	proctest.Verified(t, "crash", "queue, killed", "%d kills at %d steps", n, probe.Member62-probe.Put30+1)
}

// The one who takes a lock of the dead is killed as well, at each of its steps.
func TestQueueRecovererKilledAtEachStep(t *testing.T) {
	n := atQueuePassages(t, recoveringPassages(), syscall.SIGKILL, survivePassage)
	proctest.Verified(t, "crash", "queue, who takes a dead process's lock, killed", "%d pairs of kills", n)
}

func survivePassage(t *testing.T, s *queueScene, p queuePassage) {
	require.ErrorContains(t, s.victim.Wait(t), "killed")
	if p.resolved != "" { // before anybody comes: that wakes all
		s.waiting.Expect(t, p.resolved)
	}
	newcomer := s.startActor(t, queueActors, s.looks)
	if p.setup == "closed" || p.setup == "orphaned" || p.setup == "registered" {
		for _, a := range []*proctest.Proc{s.survivor, newcomer} {
			obey(t, a, "closed", "get")
			obey(t, a, "closed", "put 5")
		}
		return
	}
	left := slices.Clone(p.left)
	if s.waiting != nil && p.resolved == "" {
		switch words := strings.Fields(p.waiter); words[0] {
		case "get":
			require.NoError(t, s.tryPut(8))
			s.waiting.Expect(t, "got 8")
		case "put":
			n, err := s.tryGet()
			require.NoError(t, err)
			require.Equal(t, left[0], n)
			left = append(left[1:], 20)
			s.waiting.Expect(t, "ok")
		case "join":
			require.Equal(t, left, s.drain(t))
			left = nil
			s.waiting.Expect(t, "ok")
		}
	}
	workers := []*proctest.Proc{s.survivor, newcomer}
	if s.waiting != nil {
		workers = append(workers, s.waiting)
	}
	s.workOn(t, left, workers)
}

// workOn is what must still be possible. The left are in the queue.
func (s *queueScene) workOn(t *testing.T, left []int, workers []*proctest.Proc) {
	const each = 20
	want := slices.Clone(left)
	for i, w := range workers {
		w.Tell(t, fmt.Sprintf("work %d %d", 100*(i+1), each))
		for n := range each {
			want = append(want, 100*(i+1)+n)
		}
	}
	var got []int
	for _, w := range workers {
		got = append(got, gotten(t, w.Line(t))...)
	}
	require.Equal(t, len(left), s.len())
	got = append(got, s.drain(t)...)
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

// holds returns the lock that a process holds at a step, if any.
func (s *queueScene) holds(p queuePassage) *psync.Mutex {
	switch {
	case p.point >= probe.Put31 && p.point <= probe.Put36 || p.point == probe.Last59,
		p.point == probe.Close56 && p.setup == "orphaned":
		return &s.words.put
	case p.point >= probe.Get41 && p.point <= probe.Get46:
		return &s.words.get
	}
	return nil
}

// A process is stopped at each step in turn. Others wait exactly for the side
// whose lock it holds, with their contexts, and who only tries does not wait.
// It goes on where it was, and nothing is lost or comes twice.
func TestQueueStoppedAtEachStep(t *testing.T) {
	n := atQueuePassages(t, queuePassages, syscall.SIGSTOP, func(t *testing.T, s *queueScene, p queuePassage) {
		s.victim.AwaitStop(t)
		a := newLedger(s, p)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for _, lock := range []*psync.Mutex{&s.words.put, &s.words.get} {
			pid, held := lock.Holder()
			require.Equal(t, lock == s.holds(p), held && pid == s.victim.Pid())
		}
		switch s.holds(p) {
		case &s.words.put:
			require.ErrorIs(t, s.tryPut(5), ErrFull)
			require.ErrorIs(t, s.put(ctx, 5), context.DeadlineExceeded)
		case &s.words.get:
			_, err := s.tryGet()
			require.ErrorIs(t, err, ErrEmpty)
			_, err = s.get(ctx, 1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		default:
			if !a.ended() {
				a.settle()
				a.work(s.survivor, s.startActor(t, queueActors, s.looks))
			}
		}
		before := s.len()
		s.victim.Cont(t)
		a.finish(before)
	})
	proctest.Verified(t, "crash", "queue, stopped", "%d stops at %d steps", n, probe.Member62-probe.Put30+1)
}

// A ledger says what must have been got at the end: what was put.
type ledger struct {
	*queueScene
	queuePassage
	in, out []int
	settled bool // the waiter has got what it waited for
}

func newLedger(s *queueScene, p queuePassage) *ledger {
	a := &ledger{queueScene: s, queuePassage: p, in: slices.Clone(p.before), out: s.took, settled: p.waiter == ""}
	if p.setup == "got" {
		a.out = append(a.out, 1)
	}
	if words := strings.Fields(p.then + " ."); words[0] == "put" {
		a.in = append(a.in, numbersOf(p.then)...)
	}
	return a
}

func numbersOf(order string) (numbers []int) {
	for _, w := range strings.Fields(order)[1:] {
		var n int
		if _, err := fmt.Sscan(w, &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func (a *ledger) ended() bool { return a.setup == "closed" || a.setup == "orphaned" }

// book takes down the outcome of an order.
func (a *ledger) book(order, line string) {
	switch verb := strings.Fields(order)[0]; {
	case verb == "put" || verb == "tryput":
		require.Equal(a.t, "ok", line)
		a.in = append(a.in, numbersOf(order)...)
	case verb == "get" || verb == "tryget":
		a.out = append(a.out, gotten(a.t, line)...)
	case verb == "cancel":
		require.Equal(a.t, context.Canceled.Error(), line)
	default:
		require.Equal(a.t, "ok", line)
	}
}

// settle gives the waiter what it waits for. If somebody has been woken for it
// and stands, it finds it at its next look.
func (a *ledger) settle() {
	if a.settled || a.setup == "got" {
		return
	}
	a.settled = true
	switch verb := strings.Fields(a.waiter)[0]; {
	case a.then != "":
	case verb == "get":
		require.NoError(a.t, a.put(a.t.Context(), 8))
		a.in = append(a.in, 8)
	case verb == "put":
		got, err := a.get(a.t.Context(), 1)
		require.NoError(a.t, err)
		a.out = append(a.out, got...)
	case verb == "join":
		a.out = append(a.out, a.drain(a.t)...)
	}
	a.book(a.waiter, a.waiting.Line(a.t))
}

func (a *ledger) work(workers ...*proctest.Proc) {
	const each = 20
	for _, w := range workers {
		first := 1000 + len(a.in)
		w.Tell(a.t, fmt.Sprintf("work %d %d", first, each))
		for n := range each {
			a.in = append(a.in, first+n)
		}
	}
	for _, w := range workers {
		a.out = append(a.out, gotten(a.t, w.Line(a.t))...)
	}
}

// finish is for when the victim goes on. There were so many items before.
func (a *ledger) finish(items int) {
	t := a.t
	if a.ended() {
		a.victim.Expect(t, "closed")
		obey(t, a.survivor, "closed", "get")
		obey(t, a.survivor, "closed", "put 5")
		return
	}
	// What the victim and the waiter are still to put and get.
	pending := []string{}
	if a.point != probe.Put35 && a.point != probe.Put36 && a.point != probe.Get45 && a.point != probe.Get46 {
		pending = append(pending, a.order)
	}
	if !a.settled {
		pending = append(pending, a.waiter)
	}
	for _, o := range pending {
		switch verb := strings.Fields(o)[0]; verb {
		case "put", "tryput":
			items += len(numbersOf(o))
		case "get", "tryget":
			items -= max(1, append(numbersOf(o), 1)[0])
		}
	}
	for ; items < 0; items++ {
		require.NoError(t, a.put(t.Context(), 50+items))
		a.in = append(a.in, 50+items)
	}
	for ; items > 2; items-- {
		got, err := a.get(t.Context(), 1)
		require.NoError(t, err)
		a.out = append(a.out, got...)
	}
	for a.order == "join" && items > 0 { // not by tries: the victim may have the lock still
		got, err := a.get(t.Context(), 1)
		require.NoError(t, err)
		a.done(1)
		a.out = append(a.out, got...)
		items--
	}
	a.book(a.order, a.victim.Line(t))
	if a.setup == "counted" && a.order == "get" {
		obey(t, a.victim, "ok", "done 1")
	}
	if !a.settled {
		a.book(a.waiter, a.waiting.Line(t))
	}
	switch {
	case a.order == "close", a.order == "deregister", a.order == "detach" && a.setup == "registered":
		a.out = append(a.out, a.drainClosed()...)
	case a.order == "detach":
		a.work(a.survivor, a.waiting)
		a.out = append(a.out, a.drain(t)...)
	default:
		a.work(a.survivor, a.victim)
		a.out = append(a.out, a.drain(t)...)
	}
	slices.Sort(a.in)
	slices.Sort(a.out)
	require.Equal(t, a.in, a.out)
}

// drainClosed gets all that is left of a queue that has ended.
func (a *ledger) drainClosed() (numbers []int) {
	for {
		got, err := a.get(a.t.Context(), 1)
		if err != nil {
			require.ErrorIs(a.t, err, ErrClosed)
			return numbers
		}
		numbers = append(numbers, got...)
	}
}
