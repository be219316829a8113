//go:build crash

package shm

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A note that should be a number spoils the message with the queue before it.
type queueHanded[N any] struct {
	Queue *Queue[int64]
	Note  N
}

// queueTaker receives a queue, and passes a step that it is armed for.
var queueTaker = proctest.Register("queue taker", func(h *proctest.Helper) error {
	withoutLooks()
	armed(h.Args[0])
	var err error
	if h.Args[1] == "spoiled" {
		_, err = take[queueHanded[int]](h)
	} else {
		_, err = take[queueHanded[string]](h)
	}
	h.Say(handOutcome(err))
	_, err = h.Listen() // until it is killed
	return err
})

// A process is killed, or stopped, at each step of receiving a queue. Those who
// have it go on, and so does who comes next; the last registered producer's
// death is noticed although a message with the queue was on its way.
func TestQueueReceiverAtEachStep(t *testing.T) {
	n := 0
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		for _, c := range []struct {
			point         probe.Point
			message, want string
		}{
			{probe.Hand75, "good", "ok"},
			{probe.Member62, "good", "ok"},
			{probe.Hand78, "spoiled", "spoiled"},
		} {
			n++
			t.Run(sig.String()+"/"+c.point.String(), func(t *testing.T) {
				proctest.NoLeaks(t)
				made, err := NewQueue[int64](2, nil)
				require.NoError(t, err)
				defer func() { require.NoError(t, made.Detach()) }()
				q := numbersIn("slots", made)
				producer := q.startActor(t, queueActors, false)
				waiting := q.startActor(t, queueActors, false)
				obey(t, producer, "ok", "register")
				waiting.Tell(t, "get")
				awaitQueueSleeper(t, waiting.Pid())

				victim := hand(t, queueTaker, queueHanded[string]{made, "a note"}, armOrder(c.point, sig), c.message)
				if sig == syscall.SIGKILL {
					require.ErrorContains(t, victim.Wait(t), "killed")
				} else {
					victim.AwaitStop(t)
				}
				obey(t, producer, "ok", "put 10")
				waiting.Expect(t, "got 10")
				if sig == syscall.SIGSTOP {
					victim.Cont(t)
					victim.Expect(t, c.want)
				}
				newcomer := q.startActor(t, queueActors, false)
				obey(t, newcomer, "ok", "put 11")
				obey(t, waiting, "got 11", "get")
				waiting.Tell(t, "get")
				awaitQueueSleeper(t, waiting.Pid())
				producer.Kill(t)
				waiting.Expect(t, "closed")
			})
		}
	}
	proctest.Verified(t, "crash", "a process receives a queue, killed or stopped", "%d kills and stops at %d steps", n, n/2)
}
