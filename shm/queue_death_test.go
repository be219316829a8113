package shm

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Nobody dies and nobody looks on his own account: wakes are enough. There is
// one test for each thing that wakes.
func TestQueueNeedsNoLooks(t *testing.T) {
	for kind, make := range numberKinds {
		for _, tt := range []struct {
			name, wait, want string
			before           []int
			orders           []string
		}{
			{"put", "get", "got 10", nil, []string{"put 10"}},
			{"put all", "get", "got 10", nil, []string{"put 10 11"}},
			{"get", "put 10", "ok", []int{1, 2}, []string{"get"}},
			{"get many", "put 10", "ok", []int{1, 2}, []string{"get 2"}},
			{"close", "get", "closed", nil, []string{"close"}},
			{"close, full", "put 10", "closed", []int{1, 2}, []string{"close"}},
			{"deregister", "get", "closed", nil, []string{"deregister"}},
			{"detach", "get", "closed", nil, []string{"detach"}},
			{"done", "join", "ok", []int{1}, []string{"get", "done 1"}},
			{"detach before done", "join", "ok", []int{1}, []string{"get", "detach"}},
		} {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				proctest.NoLeaks(t)
				q := make(t, 2, true)
				waiter, other := q.startActor(t, queueActors, false), q.startActor(t, queueActors, false)
				obey(t, other, "ok", "register")
				for _, n := range tt.before {
					require.NoError(t, q.put(t.Context(), n))
				}
				waiter.Tell(t, tt.wait)
				awaitQueueSleeper(t, waiter.Pid())
				for _, o := range tt.orders {
					other.Tell(t, o)
					other.Line(t)
				}
				waiter.Expect(t, tt.want)
			})
		}
		t.Run(kind+"/work", func(t *testing.T) {
			proctest.NoLeaks(t)
			q := make(t, 2, false)
			var workers []*proctest.Proc
			for range 3 {
				workers = append(workers, q.startActor(t, queueActors, false))
			}
			got := map[int]bool{}
			for i, w := range workers {
				w.Tell(t, fmt.Sprintf("work %d 1000", i*1000))
			}
			for _, w := range workers {
				for _, n := range gotten(t, w.Line(t)) {
					require.False(t, got[n], "%d was got twice", n)
					got[n] = true
				}
			}
			require.Len(t, got, 3000)
			require.Empty(t, q.drain(t))
		})
	}
}

// Two sleep, and one item comes, and then another.
func TestQueueWakesOneAfterTheOther(t *testing.T) {
	for kind, make := range numberKinds {
		t.Run(kind, func(t *testing.T) {
			proctest.NoLeaks(t)
			q := make(t, 2, false)
			a, b := q.startActor(t, queueActors, false), q.startActor(t, queueActors, false)
			for _, p := range []*proctest.Proc{a, b} {
				p.Tell(t, "get")
				awaitQueueSleeper(t, p.Pid())
			}
			require.NoError(t, q.put(t.Context(), 1))
			a.Expect(t, "got 1")
			require.NoError(t, q.put(t.Context(), 2))
			b.Expect(t, "got 2")
		})
	}
}

// Who gives up after a sleep may have been woken as well, so it wakes another.
// It leaves the word as it is: it does not hold the lock.
func TestQueueGiveUp(t *testing.T) {
	for kind, make := range numberKinds {
		for wait, before := range map[string][]int{"cancel get": nil, "cancel put 10": {1, 2}} {
			t.Run(kind+"/"+wait, func(t *testing.T) {
				proctest.NoLeaks(t)
				q := make(t, 2, false)
				for _, n := range before {
					require.NoError(t, q.put(t.Context(), n))
				}
				event := q.items.event
				if before != nil {
					event = q.room.event
				}
				p := q.startActor(t, queueActors, false)
				event.word.Or(eventSleeper)
				was := event.word.Load()
				woken := sleepOnEvent(t, event)
				p.Tell(t, wait)
				<-woken
				p.Expect(t, context.Canceled.Error())
				require.Equal(t, was, event.word.Load())
			})
		}
	}
}

// The entry of a dead member is void, and its next owner begins anew.
func TestQueueDeadMembersEntry(t *testing.T) {
	for kind, make := range numberKinds {
		t.Run(kind, func(t *testing.T) {
			proctest.NoLeaks(t)
			q := make(t, 3, true)
			for n := range 3 {
				require.NoError(t, q.put(t.Context(), n))
			}
			first := q.startActor(t, queueActors, false)
			obey(t, first, "got 0", "get")
			obey(t, first, "got 1", "get")
			used := q.words.highest.Load()
			first.Kill(t)
			second := q.startActor(t, queueActors, false)
			require.Equal(t, used, q.words.highest.Load(), "the entry was taken over")
			obey(t, second, "got 2", "get")
			obey(t, second, "ok", "done 1")
			require.NoError(t, q.join(t.Context()))
		})
	}
}
