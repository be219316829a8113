//go:build crash

package shm

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// What happens while somebody is about to sleep must not be slept through. The
// sleepers here look at nothing on their own account.

// forKinds runs a test with a queue of each kind, with room for two.
func forKinds(t *testing.T, tasks bool, test func(*testing.T, *numberQueue)) {
	for kind, make := range numberKinds {
		t.Run(kind, func(t *testing.T) {
			proctest.NoLeaks(t)
			test(t, make(t, 2, tasks))
		})
	}
}

// stopAt starts an actor that has stopped at the step of an order.
func stopAt(t *testing.T, q *numberQueue, point probe.Point, order string) *proctest.Proc {
	t.Helper()
	p := q.startActor(t, doomedQueues, false)
	stopActor(t, p, point, order)
	return p
}

func stopActor(t *testing.T, p *proctest.Proc, point probe.Point, order string) {
	t.Helper()
	obey(t, p, "ok", armOrder(point, syscall.SIGSTOP))
	p.Tell(t, order)
	p.AwaitStop(t)
}

func TestChangeBeforeSleep(t *testing.T) {
	for _, c := range []struct {
		name, order, want string
		change            func(t *testing.T, q *numberQueue, other *proctest.Proc)
	}{
		{"an item", "get", "got 9", func(t *testing.T, q *numberQueue, other *proctest.Proc) { obey(t, other, "ok", "put 9") }},
		{"closed", "get", "closed", func(t *testing.T, q *numberQueue, other *proctest.Proc) { obey(t, other, "ok", "close") }},
		{"last producer dies", "get", "closed", func(t *testing.T, q *numberQueue, other *proctest.Proc) { other.Kill(t) }},
		{"last producer gone", "get", "closed", func(t *testing.T, q *numberQueue, other *proctest.Proc) { obey(t, other, "ok", "deregister") }},
		{"room", "put 10", "ok", func(t *testing.T, q *numberQueue, other *proctest.Proc) { obey(t, other, "got 1", "get") }},
		{"closed, full", "put 10", "closed", func(t *testing.T, q *numberQueue, other *proctest.Proc) { obey(t, other, "ok", "close") }},
		{"closer dies half-way", "put 10", "closed", func(t *testing.T, q *numberQueue, other *proctest.Proc) {
			obey(t, other, "ok", "half close")
			other.Kill(t)
		}},
		{"done", "join", "ok", func(t *testing.T, q *numberQueue, other *proctest.Proc) {
			obey(t, other, "got 1", "get")
			obey(t, other, "got 2", "get")
			obey(t, other, "ok", "done 2")
		}},
		{"dies before it is done", "join", "ok", func(t *testing.T, q *numberQueue, other *proctest.Proc) {
			obey(t, other, "got 1", "get")
			obey(t, other, "got 2", "get")
			other.Kill(t)
		}},
	} {
		for _, point := range probe.Points(probe.Wait51, probe.Wait54) {
			t.Run(strings.ReplaceAll(c.name+" "+point.String(), " ", "-"), func(t *testing.T) {
				forKinds(t, c.order == "join", func(t *testing.T, q *numberQueue) {
					other := q.startActor(t, queueActors, false)
					if strings.HasPrefix(c.name, "last") {
						obey(t, other, "ok", "register")
					}
					if c.order != "get" {
						require.NoError(t, q.put(t.Context(), 1, 2))
					}
					p := stopAt(t, q, point, c.order)
					c.change(t, q, other)
					p.Cont(t)
					p.Expect(t, c.want)
				})
			})
		}
	}
}

// One is about to sleep when two items come, of which another one takes the
// first, after having announced that it sleeps. The event looks then as it did
// before, but for its sequence. (Both are members before: who comes raises it.)
func TestSequence(t *testing.T) {
	forKinds(t, false, func(t *testing.T, q *numberQueue) {
		slow, quick := q.startActor(t, doomedQueues, false), q.startActor(t, doomedQueues, false)
		stopActor(t, slow, probe.Wait54, "get")
		stopActor(t, quick, probe.Wait51, "get")
		require.NoError(t, q.put(t.Context(), 1))
		require.NoError(t, q.put(t.Context(), 2))
		quick.Cont(t)
		quick.Expect(t, "got 1")
		slow.Cont(t)
		slow.Expect(t, "got 2")
	})
}

// Who comes when others sleep already is watched by them.
func TestNewcomerIsWatched(t *testing.T) {
	forKinds(t, false, func(t *testing.T, q *numberQueue) {
		waiter := q.startActor(t, queueActors, false)
		waiter.Tell(t, "get")
		awaitQueueSleeper(t, waiter.Pid())
		newcomer := q.startActor(t, doomedQueues, false)
		awaitQueueSleeper(t, waiter.Pid())
		obey(t, newcomer, "ok", armOrder(probe.Put35, syscall.SIGKILL))
		newcomer.Tell(t, "put 10")
		waiter.Expect(t, "got 10")
	})
}

// A queue that is closed and empty has not ended while a Put is under way.
func TestCloseWaitsForPutUnderWay(t *testing.T) {
	forKinds(t, false, func(t *testing.T, q *numberQueue) {
		p := stopAt(t, q, probe.Put34, "put 10")
		require.NoError(t, q.closeAll())
		_, err := q.tryGet()
		require.ErrorIs(t, err, ErrEmpty)
		p.Cont(t)
		p.Expect(t, "ok")
		got, err := q.get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, []int{10}, got)
		_, err = q.get(t.Context(), 1)
		require.ErrorIs(t, err, ErrClosed)
	})
}

// Join does not overlook an item that is in nobody's hands for a moment.
func TestJoinSeesItemUnderWay(t *testing.T) {
	for _, point := range probe.Points(probe.Get43, probe.Get46) {
		t.Run(point.String(), func(t *testing.T) {
			forKinds(t, true, func(t *testing.T, q *numberQueue) {
				require.NoError(t, q.put(t.Context(), 1))
				p := stopAt(t, q, point, "get")
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				require.ErrorIs(t, q.join(ctx), context.DeadlineExceeded)
				p.Cont(t)
				p.Expect(t, "got 1")
				obey(t, p, "ok", "done 1")
				require.NoError(t, q.join(t.Context()))
			})
		})
	}
}

// doomedMember joins a queue and ends or stops there.
var doomedMember = map[string]*proctest.Program{
	"slots":   proctest.Register("doomed member", joinArmed("slots", queueActor[int64])),
	"records": proctest.Register("doomed member, records", joinArmed("records", queueActor[string])),
}

func joinArmed(kind string, actor func(string, func(string) bool) func(*proctest.Helper) error) func(h *proctest.Helper) error {
	return func(h *proctest.Helper) error {
		armed(h.Args[0])
		return actor(kind, nil)(h)
	}
}

// A process is killed, or stopped, when it is about to take an entry in the table
// of members. Others take it, and each can be told from the next.
func TestJoiningMember(t *testing.T) {
	forKinds(t, true, func(t *testing.T, q *numberQueue) {
		dead := q.hand(t, doomedMember, armOrder(probe.Member62, syscall.SIGKILL))
		require.ErrorContains(t, dead.Wait(t), "killed")
		late := q.hand(t, doomedMember, armOrder(probe.Member62, syscall.SIGSTOP))
		late.AwaitStop(t)
		other := q.startActor(t, queueActors, false)
		late.Cont(t)
		late.Expect(t, "ok")
		require.NoError(t, q.put(t.Context(), 1, 2))
		obey(t, other, "got 1", "get")
		obey(t, late, "got 2", "get")
		obey(t, other, "ok", "done 1")
		other.Kill(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, q.join(ctx), context.DeadlineExceeded, "the other has its own entry")
		late.Kill(t)
		require.NoError(t, q.join(t.Context()))
	})
	proctest.Verified(t, "crash", "queue, a member on its way in", "%d kills and as many stops", len(numberKinds))
}

// Whoever takes the lock of the dead wakes all, even if nobody seems to sleep:
// the dead may have been about to.
func TestRecovererOfQueueWakes(t *testing.T) {
	for _, c := range []struct {
		point probe.Point
		order string
	}{{probe.Put33, "put 10"}, {probe.Get43, "get"}} {
		t.Run(fmt.Sprint(c.point), func(t *testing.T) {
			forKinds(t, false, func(t *testing.T, q *numberQueue) {
				require.NoError(t, q.put(t.Context(), 1))
				p := q.startActor(t, doomedQueues, false)
				obey(t, p, "ok", armOrder(c.point, syscall.SIGKILL))
				p.Tell(t, c.order)
				require.ErrorContains(t, p.Wait(t), "killed")
				event := q.items.event
				if c.order == "get" {
					event = q.room.event
				}
				require.Zero(t, event.word.Load()&eventSleeper)
				woken := sleepOnEvent(t, event)
				require.Equal(t, map[string]string{"get": "got 1", "put 10": "ok"}[c.order], q.act(c.order))
				<-woken
			})
		})
	}
}
