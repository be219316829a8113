//go:build crash

package shm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A handActor gives its end of a pipe to another process, over the socket that is
// its second file, or takes one; and does with it what a pipe actor does.
var handActors = map[string]*proctest.Program{
	"slots":   proctest.Register("hand actor", handActor[int64]),
	"records": proctest.Register("hand actor, records", handActor[string]),
}

// A handed message has a note behind the end. One that should be a number spoils
// the message.
type handed[T, N any] struct {
	End  *Pipe[T]
	Note N
}

func handActor[T any](h *proctest.Helper) error {
	withoutLooks()
	has, err := take[handed[T, string]](h)
	if err != nil {
		return err
	}
	link, err := linkOf(h.Files[1])
	if err != nil {
		return err
	}
	h.Say("ok")
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		switch {
		case armed(order):
			h.Say("ok")
		case order == "give":
			h.Say(giveEnd(link, has))
		case order == "take":
			has, err = takeEnd[handed[T, string]](link)
			h.Say(handOutcome(err))
		case order == "take spoiled":
			_, err = takeEnd[handed[T, int]](link)
			h.Say(handOutcome(err))
		default:
			h.Say(pipeAct(has.End, order))
		}
	}
}

// giveEnd sends an end, and closes its own if that worked.
func giveEnd[T any](link *wire.Conn, has handed[T, string]) string {
	m, err := wire.Encode(reflect.ValueOf(has))
	if err != nil {
		return err.Error()
	}
	err = wire.Send(link, 1, m)
	m.Close()
	if err == nil {
		err = has.End.Close()
	}
	return handOutcome(err)
}

func takeEnd[M any](link *wire.Conn) (v M, err error) {
	_, m, err := wire.Recv(link)
	if err != nil {
		return v, err
	}
	defer m.Close()
	return v, wire.Decode(m, reflect.ValueOf(&v).Elem())
}

func handOutcome(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "nothing comes"
	case errors.Is(err, unix.EPIPE):
		return "not sent"
	case err != nil && strings.Contains(err.Error(), "Note"):
		return "spoiled"
	case err != nil:
		return err.Error()
	}
	return "ok"
}

// A handPassage brings the giver, or the taker, to one step of the hand-over.
type handPassage struct {
	point   probe.Point
	order   string
	dead    probe.Point // where the giver has died before
	outcome string      // of the order, for who is continued
	arrives bool        // although the one at this step dies
}

var handPassages = []handPassage{
	{point: probe.Hand70, order: "give", outcome: "ok"},
	{point: probe.Hand71, order: "give", outcome: "ok"},
	{point: probe.Hand72, order: "give", outcome: "ok"},
	{point: probe.Hand73, order: "give", outcome: "ok", arrives: true},
	{point: probe.Hand74, order: "give", outcome: "not sent"},
	{point: probe.Hand75, order: "take", outcome: "ok"},
	{point: probe.Hand76, order: "take", outcome: "ok"},
	{point: probe.Hand77, order: "take", outcome: "ok"},
	{point: probe.Hand78, order: "take spoiled", outcome: "spoiled"},
	{point: probe.Hand75, order: "take", outcome: "ok", dead: probe.Hand73},
	{point: probe.Hand76, order: "take", outcome: "ok", dead: probe.Hand73},
	{point: probe.Hand77, order: "take", outcome: "ok", dead: probe.Hand73},
	{point: probe.Hand78, order: "take spoiled", outcome: "spoiled", dead: probe.Hand73},
}

func (p handPassage) String() string {
	name := p.point.String()
	if p.dead != 0 {
		name += " after " + p.dead.String()
	}
	return strings.ReplaceAll(name, " ", "-")
}

// A handScene is the stage of one passage: two processes between which one end
// goes, and the one at the other end.
type handScene struct {
	handPassage
	waiter               string // what the other end's process waits with, if it does
	giver, taker, victim *proctest.Proc
	other                *proctest.Proc
}

var handStages = map[string]func(*testing.T) *handScene{
	"slots":   newHandScene[int64]("slots"),
	"records": newHandScene[string]("records"),
}

func newHandScene[T any](kind string) func(*testing.T) *handScene {
	return func(t *testing.T) *handScene {
		a, b, err := NewPipe[T](&PipeOptions{Capacity: 2, Bytes: 128})
		require.NoError(t, err)
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		s := &handScene{other: hand(t, pipeActors[kind], b)}
		s.other.Expect(t, "ok")
		for i, p := range []**proctest.Proc{&s.giver, &s.taker} {
			link, has := os.NewFile(uintptr(fds[i]), "link"), handed[T, string]{Note: "a note"}
			if i == 0 {
				has.End = a
			}
			*p = handBeside(t, handActors[kind], []*os.File{link}, has)
			(*p).Expect(t, "ok")
			require.NoError(t, link.Close())
		}
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
		return s
	}
}

// atHandPassages brings somebody to each step, while the process at the other
// end waits for a message, for room, or for nothing, and runs a test.
func atHandPassages(t *testing.T, sig syscall.Signal, test func(*testing.T, *handScene)) (n int) {
	for kind, stage := range handStages {
		for _, waiter := range []string{"nothing", "recv", "send 20"} {
			for _, p := range handPassages {
				n++
				t.Run(strings.ReplaceAll(fmt.Sprintf("%s/%v, the other end waits with %s", kind, p, waiter), " ", "-"), func(t *testing.T) {
					proctest.NoLeaks(t)
					s := stage(t)
					s.handPassage, s.waiter = p, waiter
					s.drive(t, sig)
					test(t, s)
				})
			}
		}
	}
	return n
}

// drive brings the victim to the step, where sig hits it.
func (s *handScene) drive(t *testing.T, sig syscall.Signal) {
	switch s.waiter {
	case "nothing":
		obey(t, s.giver, "ok", "send 1")
	case "send 20":
		obey(t, s.other, "ok", "send 1 2")
		fallthrough
	default:
		s.other.Tell(t, s.waiter)
		awaitQueueSleeper(t, s.other.Pid())
	}
	if s.order == "give" {
		s.victim = s.giver
	} else {
		s.victim = s.taker
	}
	if s.point == probe.Hand74 {
		s.taker.Kill(t)
	}
	switch {
	case s.dead != 0:
		obey(t, s.giver, "ok", armOrder(s.dead, syscall.SIGKILL))
		s.giver.Tell(t, "give")
		require.ErrorContains(t, s.giver.Wait(t), "killed")
	case s.victim == s.taker:
		obey(t, s.giver, "ok", "give")
	}
	obey(t, s.victim, "ok", armOrder(s.point, sig))
	s.victim.Tell(t, s.order)
}

// gone is when nobody has the end any more. What was committed is there.
func (s *handScene) gone(t *testing.T) {
	switch s.waiter {
	case "nothing":
		obey(t, s.other, "got 1", "recv")
	case "recv":
		s.other.Expect(t, "end")
	default:
		s.other.Expect(t, "broken")
	}
	obey(t, s.other, "end", "recv", "tryrecv")
	obey(t, s.other, "broken", "send 21", "trysend 22", "send 23")
}

// works sees that a process has the end, and the other one what was committed.
// When it is killed, the end is gone.
func (s *handScene) works(t *testing.T, holder *proctest.Proc) {
	switch s.waiter {
	case "recv":
		obey(t, holder, "ok", "send 30")
		s.other.Expect(t, "got 30")
	case "send 20":
		obey(t, holder, "got 1", "recv")
		s.other.Expect(t, "ok")
		obey(t, holder, "got 2", "recv")
		obey(t, holder, "got 20", "recv")
	}
	obey(t, s.other, "there", "peer")
	numbers := spaced([]int{100, 101, 102, 103, 104, 105})
	holder.Tell(t, "work"+numbers)
	s.other.Tell(t, "work"+numbers)
	holder.Expect(t, "got"+numbers)
	s.other.Expect(t, "got"+numbers)
	s.other.Tell(t, "recv")
	awaitQueueSleeper(t, s.other.Pid())
	holder.Kill(t)
	s.other.Expect(t, "end")
	obey(t, s.other, "broken", "send 21", "trysend 22")
}

// The process that gives an end to another, or the one that takes it, is killed
// at each step of that. The end arrives if the message was sent, or else the
// process at the other end sees that nobody has it; whatever it waits for, it
// does not hang.
func TestPipeEndKilledAtEachStep(t *testing.T) {
	n := atHandPassages(t, syscall.SIGKILL, func(t *testing.T, s *handScene) {
		require.ErrorContains(t, s.victim.Wait(t), "killed")
		switch {
		case s.arrives:
			obey(t, s.taker, "ok", "take")
			if s.waiter == "nothing" {
				obey(t, s.other, "got 1", "recv")
			}
			s.works(t, s.taker)
			return
		case s.victim == s.giver && s.point != probe.Hand74:
			obey(t, s.taker, "nothing comes", "take")
		}
		s.gone(t)
	})
	proctest.Verified(t, "crash", "an end of a pipe changes hands, killed", "%d kills at %d steps", n, probe.Hand78-probe.Hand70+1)
}

// A process is stopped at each step of a hand-over. The one at the other end gets
// what was committed, and its tries return; continued, the end arrives, or is the
// giver's again.
func TestPipeEndStoppedAtEachStep(t *testing.T) {
	n := atHandPassages(t, syscall.SIGSTOP, func(t *testing.T, s *handScene) {
		s.victim.AwaitStop(t)
		if s.waiter == "nothing" {
			obey(t, s.other, "got 1", "tryrecv")
			obey(t, s.other, "empty", "tryrecv", "tryrecv")
			obey(t, s.other, "ok", "trysend 5")
			if s.point > probe.Hand70 && s.point < probe.Hand77 {
				obey(t, s.other, "on its way", "peer")
			}
		}
		holder := s.taker
		switch {
		case s.arrives: // also while the giver stands
			obey(t, s.taker, "ok", "take")
		case s.point == probe.Hand74:
			holder = s.giver
		}
		s.victim.Cont(t)
		s.victim.Expect(t, s.outcome)
		if s.victim == s.giver && s.outcome == "ok" && !s.arrives {
			obey(t, s.taker, "ok", "take")
		}
		switch {
		case s.outcome == "spoiled" && s.waiter == "nothing":
			obey(t, s.other, "end", "recv", "tryrecv")
		case s.outcome == "spoiled":
			s.gone(t)
		default:
			if s.waiter == "nothing" {
				obey(t, holder, "got 5", "recv")
			}
			s.works(t, holder)
		}
	})
	proctest.Verified(t, "crash", "an end of a pipe changes hands, stopped", "%d stops at %d steps", n, probe.Hand78-probe.Hand70+1)
}

// Every step of a hand-over is in the table.
func TestHandPassagesAreComplete(t *testing.T) {
	var passed []probe.Point
	for _, p := range handPassages {
		if p.dead == 0 {
			passed = append(passed, p.point)
		}
	}
	require.Equal(t, probe.Points(probe.Hand70, probe.Hand78), passed)
}
