//go:build crash

package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A pipeActor does with its end what it is told, and can be armed.
var pipeActors = map[string]*proctest.Program{
	"slots":   proctest.Register("pipe actor", pipeActor[int64]),
	"records": proctest.Register("pipe actor, records", pipeActor[string]),
}

func pipeActor[T any](h *proctest.Helper) error {
	withoutLooks()
	p, err := take[*Pipe[T]](h)
	if err != nil {
		return err
	}
	h.Say("ok")
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		if armed(order) {
			h.Say("ok")
			continue
		}
		h.Say(pipeAct(p, order))
	}
}

// pipeAct returns the outcome of an order: ok, got N..., end, broken, full,
// empty, or the error.
func pipeAct[T any](p *Pipe[T], order string) string {
	words, ctx := strings.Fields(order), context.Background()
	if words[0] == "cancel" {
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		words, ctx = words[1:], limited
		event := &p.end.recv.words.items
		if words[0] == "send" {
			event = &p.end.send.words.room
		}
		go func() {
			awaitFlag(event)
			cancel()
		}()
	}
	var items []T
	for _, n := range numbersOf(strings.Join(words, " ")) {
		items = append(items, itemOf[T](n))
	}
	switch words[0] {
	case "send":
		_, err := p.SendAll(ctx, items)
		return pipeOutcome[T](err)
	case "recv":
		v, err := p.Recv(ctx)
		return pipeOutcome(err, v)
	case "trysend":
		return pipeOutcome[T](p.TrySend(items[0]))
	case "tryrecv":
		v, err := p.TryRecv()
		return pipeOutcome(err, v)
	case "close":
		return pipeOutcome[T](p.Close())
	case "peer":
		if p.end.otherState()&endTransit != 0 {
			return "on its way"
		}
		return "there"
	case "work": // sends and receives as many
		failed := make(chan error)
		go func() {
			_, err := p.SendAll(ctx, items)
			failed <- err
		}()
		all := make([]T, 0, len(items))
		for len(all) < len(items) {
			n, err := p.RecvUpTo(ctx, all[len(all):cap(all)])
			if err != nil {
				return pipeOutcome[T](err)
			}
			all = all[:len(all)+n]
		}
		return pipeOutcome(<-failed, all...)
	}
	return "unknown order " + order
}

func pipeOutcome[T any](err error, items ...T) string {
	switch {
	case errors.Is(err, io.EOF):
		return "end"
	case errors.Is(err, ErrBroken):
		return "broken"
	case err != nil:
		return queueOutcome(err)
	case items == nil:
		return "ok"
	}
	text := "got"
	for _, v := range items {
		text += fmt.Sprint(" ", numberOf(v))
	}
	return text
}

// A pipePassage brings the victim to one step of its end. The pipe has room for
// two each way. The victim sends 10 and 11, the other end's process 20.
type pipePassage struct {
	point  probe.Point
	before string // what the victim has done: send 1 2
	theirs string // what the other one has done: send 1 2
	waiter string // what the other one waits with, or does when the victim sleeps
	order  string // in which the victim passes the step

	after []string // what the other one's orders come to: the waiter's, and then recv, until the end
}

var pipePassages = []pipePassage{
	{point: probe.Put32, order: "send 10", waiter: "recv", after: []string{"end"}},
	{point: probe.Put33, order: "send 10", waiter: "recv", after: []string{"end"}},
	{point: probe.Put34, order: "send 10", waiter: "recv", after: []string{"end"}},
	{point: probe.Put35, order: "send 10", waiter: "recv", after: []string{"got 10", "end"}},
	{point: probe.Put33, order: "send 10 11", waiter: "recv", after: []string{"end"}},
	{point: probe.Put34, order: "send 10", before: "send 1", after: []string{"got 1", "end"}},
	{point: probe.Put35, order: "send 10", before: "send 1", after: []string{"got 1", "got 10", "end"}},
	{point: probe.Put33, order: "trysend 10", after: []string{"end"}},
	{point: probe.Put35, order: "trysend 10", after: []string{"got 10", "end"}},
	{point: probe.Get42, order: "recv", theirs: "send 1 2", waiter: "send 20", after: []string{"broken", "end"}},
	{point: probe.Get43, order: "recv", theirs: "send 1 2", waiter: "send 20", after: []string{"broken", "end"}},
	{point: probe.Get44, order: "recv", theirs: "send 1 2", waiter: "send 20", after: []string{"broken", "end"}},
	{point: probe.Get45, order: "recv", theirs: "send 1 2", waiter: "send 20", after: []string{"broken", "end"}},
	{point: probe.Get44, order: "recv", theirs: "send 1", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait51, order: "recv", waiter: "recv", after: []string{"end"}},
	{point: probe.Wait52, order: "recv", waiter: "recv", after: []string{"end"}},
	{point: probe.Wait53, order: "recv", waiter: "recv", after: []string{"end"}},
	{point: probe.Wait54, order: "recv", waiter: "recv", after: []string{"end"}},
	{point: probe.Wait55, order: "recv", waiter: "send 20", after: []string{"ok", "end"}},
	{point: probe.Wait61, order: "cancel recv", waiter: "recv", after: []string{"end"}},
	{point: probe.Wait51, order: "send 10", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait52, order: "send 10", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait53, order: "send 10", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait54, order: "send 10", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait55, order: "send 10", before: "send 1 2", waiter: "recv", after: []string{"got 1", "got 2", "end"}},
	{point: probe.Wait61, order: "cancel send 10", before: "send 1 2", after: []string{"got 1", "got 2", "end"}},
}

// A pipeScene is the stage of one passage: the ends are with the victim and the
// other one only.
type pipeScene struct{ victim, other *proctest.Proc }

var pipeStages = map[string]func(*testing.T) pipeScene{
	"slots":   newPipeScene[int64]("slots"),
	"records": newPipeScene[string]("records"),
}

func newPipeScene[T any](kind string) func(*testing.T) pipeScene {
	return func(t *testing.T) (s pipeScene) {
		a, b, err := NewPipe[T](&PipeOptions{Capacity: 2, Bytes: 128})
		require.NoError(t, err)
		// The other one first: it sees the victim's end change hands.
		s.other = hand(t, pipeActors[kind], b)
		s.other.Expect(t, "ok")
		s.victim = hand(t, pipeActors[kind], a)
		s.victim.Expect(t, "ok")
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
		return s
	}
}

func atPipePassages(t *testing.T, sig syscall.Signal, test func(*testing.T, pipeScene, pipePassage)) (n int) {
	for kind, stage := range pipeStages {
		t.Run(kind, func(t *testing.T) {
			for _, p := range pipePassages {
				n++
				t.Run(strings.ReplaceAll(p.point.String()+" "+p.order+" after "+p.before+p.theirs, " ", "-"), func(t *testing.T) {
					proctest.NoLeaks(t)
					s := stage(t)
					p.drive(t, s, sig)
					test(t, s, p)
				})
			}
		})
	}
	return n
}

// drive brings the victim to the step, where sig hits it. The other one has been
// told what it waits with.
func (p pipePassage) drive(t *testing.T, s pipeScene, sig syscall.Signal) {
	if p.before != "" {
		obey(t, s.victim, "ok", p.before)
	}
	if p.theirs != "" {
		obey(t, s.other, "ok", p.theirs)
	}
	wakes := p.point == probe.Wait55
	if p.waiter != "" && !wakes {
		s.other.Tell(t, p.waiter)
		awaitQueueSleeper(t, s.other.Pid())
	}
	obey(t, s.victim, "ok", armOrder(p.point, sig))
	s.victim.Tell(t, p.order)
	if wakes {
		awaitQueueSleeper(t, s.victim.Pid())
		s.other.Tell(t, p.waiter)
	}
}

// The process at one end is killed at each step in turn, and nobody looks on his
// own account. The other end gets what was committed, once, and then the end;
// who waited goes on by the death alone.
func TestPipeKilledAtEachStep(t *testing.T) {
	n := atPipePassages(t, syscall.SIGKILL, func(t *testing.T, s pipeScene, p pipePassage) {
		require.ErrorContains(t, s.victim.Wait(t), "killed")
		for i, want := range p.after {
			if i > 0 || p.waiter == "" {
				s.other.Tell(t, "recv")
			}
			s.other.Expect(t, want)
		}
		obey(t, s.other, "end", "recv", "tryrecv")
		obey(t, s.other, "broken", "send 21", "trysend 22", "send 23")
	})
	proctest.Verified(t, "crash", "pipe, killed", "%d kills at %d steps", n, len(pipeSteps()))
}

// pipeSteps are the steps that the tables pass.
func pipeSteps() (steps []probe.Point) {
	for _, p := range pipePassages {
		if !slices.Contains(steps, p.point) {
			steps = append(steps, p.point)
		}
	}
	return steps
}

func TestPipePassagesAreComplete(t *testing.T) {
	want := slices.Concat(probe.Points(probe.Put32, probe.Put35), probe.Points(probe.Get42, probe.Get45), probe.Points(probe.Wait51, probe.Wait61))
	require.ElementsMatch(t, want, pipeSteps())
}

// The process at one end is stopped at each step. The other one gets what was
// committed, and its tries return; continued, both go on.
func TestPipeStoppedAtEachStep(t *testing.T) {
	n := atPipePassages(t, syscall.SIGSTOP, func(t *testing.T, s pipeScene, p pipePassage) {
		s.victim.AwaitStop(t)
		if p.waiter == "" || p.point == probe.Wait55 {
			if p.point == probe.Wait55 {
				s.other.Expect(t, p.after[0])
			}
			for { // what was committed, and then nothing
				s.other.Tell(t, "tryrecv")
				line := s.other.Line(t)
				if !strings.HasPrefix(line, "got") {
					require.Equal(t, "empty", line)
					break
				}
				require.Contains(t, p.after, line)
			}
		}
		s.victim.Cont(t)
		p.goOn(t, s)
	})
	proctest.Verified(t, "crash", "pipe, stopped", "%d stops at %d steps", n, len(pipeSteps()))
}

// goOn is what happens when the victim goes on: its order ends, and what the
// other one waits with.
func (p pipePassage) goOn(t *testing.T, s pipeScene) {
	waits := p.waiter != "" && p.point != probe.Wait55
	switch verb := strings.Fields(p.order)[0]; {
	case verb == "send" || verb == "trysend":
		s.victim.Expect(t, "ok")
		if waits {
			s.other.Expect(t, "got 10")
		}
	case verb == "cancel":
		s.victim.Expect(t, context.Canceled.Error())
		if waits {
			obey(t, s.victim, "ok", "send 10")
			s.other.Expect(t, "got 10")
		}
	case p.theirs != "": // there was something for it
		s.victim.Expect(t, "got 1")
		if waits {
			s.other.Expect(t, "ok")
		}
	case waits: // both wait
		// The victim has no one but the other, and that one waits for it.
		s.victim.Kill(t)
		s.other.Expect(t, "end")
		return
	default:
		s.victim.Expect(t, "got 20")
	}
	for _, end := range []*proctest.Proc{s.victim, s.other} { // what is under way
		for line := "got"; strings.HasPrefix(line, "got"); {
			end.Tell(t, "tryrecv")
			line = end.Line(t)
		}
	}
	var numbers []int
	for n := range 20 {
		numbers = append(numbers, 100+n)
	}
	s.victim.Tell(t, "work"+spaced(numbers))
	s.other.Tell(t, "work"+spaced(numbers))
	s.victim.Expect(t, "got"+spaced(numbers))
	s.other.Expect(t, "got"+spaced(numbers))
}

// Nobody dies and nobody looks on his own account: wakes are enough.
func TestPipeNeedsNoLooks(t *testing.T) {
	for kind, stage := range pipeStages {
		t.Run(kind, func(t *testing.T) {
			proctest.NoLeaks(t)
			s := stage(t)
			s.other.Tell(t, "recv")
			awaitQueueSleeper(t, s.other.Pid())
			obey(t, s.victim, "ok", "send 10")
			s.other.Expect(t, "got 10")
			obey(t, s.victim, "ok", "send 1 2")
			s.victim.Tell(t, "send 3")
			awaitQueueSleeper(t, s.victim.Pid())
			obey(t, s.other, "got 1", "recv")
			s.victim.Expect(t, "ok")
			obey(t, s.other, "got 2", "recv")
			obey(t, s.other, "got 3", "recv")
			s.other.Tell(t, "recv")
			awaitQueueSleeper(t, s.other.Pid())
			obey(t, s.victim, "ok", "close")
			s.other.Expect(t, "end")
			obey(t, s.other, "broken", "send 1", "trysend 1", "send 1")
		})
	}
}

// Something happens to the other end while one is about to sleep.
func TestPipeChangeBeforeSleep(t *testing.T) {
	for kind, stage := range pipeStages {
		for _, point := range probe.Points(probe.Wait51, probe.Wait54) {
			for _, c := range []struct{ before, order, change, want string }{
				{"", "recv", "send 10", "got 10"},
				{"", "recv", "close", "end"},
				{"", "recv", "die", "end"},
				{"send 1 2", "send 3", "recv", "ok"},
				{"send 1 2", "send 3", "close", "broken"},
				{"send 1 2", "send 3", "die", "broken"},
			} {
				t.Run(strings.ReplaceAll(fmt.Sprintf("%s/%v %s %s", kind, point, c.order, c.change), " ", "-"), func(t *testing.T) {
					proctest.NoLeaks(t)
					s := stage(t)
					if c.before != "" {
						obey(t, s.victim, "ok", c.before)
					}
					obey(t, s.victim, "ok", armOrder(point, syscall.SIGSTOP))
					s.victim.Tell(t, c.order)
					s.victim.AwaitStop(t)
					switch c.change {
					case "die":
						s.other.Kill(t)
					case "recv":
						obey(t, s.other, "got 1", "recv")
					default:
						obey(t, s.other, "ok", c.change)
					}
					s.victim.Cont(t)
					s.victim.Expect(t, c.want)
				})
			}
		}
	}
}

// An end is lost in a message that nobody gets, by and by: first the sender's
// own is closed.
func TestPipeEndLost(t *testing.T) {
	proctest.NoLeaks(t)
	withoutLooks()
	a, b, err := NewPipe[int64](nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	require.NoError(t, a.Send(t.Context(), 1))
	m, err := wire.Encode(reflect.ValueOf(a))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	v, err := b.Recv(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, v)
	_, err = b.TryRecv()
	require.ErrorIs(t, err, ErrEmpty, "it is on its way")
	got := make(chan error)
	go func() {
		_, err := b.Recv(t.Context())
		got <- err
	}()
	awaitFlag(&b.end.recv.words.items)
	m.Close()
	require.ErrorIs(t, <-got, io.EOF)
	require.ErrorIs(t, b.Send(t.Context(), 1), ErrBroken)
}
