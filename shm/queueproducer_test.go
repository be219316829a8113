package shm

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// producers starts n puppets that are registered.
func producers(t testing.TB, q *Queue[int], n int) (puppets []*proctest.Proc) {
	for range n {
		p := hand(t, queuePuppet, q)
		tellPuppet(t, p, "register", "ok")
		puppets = append(puppets, p)
	}
	return puppets
}

// goners are the ways in which a producer can go.
var goners = map[string]func(testing.TB, *proctest.Proc){
	"deregisters": func(t testing.TB, p *proctest.Proc) { tellPuppet(t, p, "deregister", "ok") },
	"detaches":    func(t testing.TB, p *proctest.Proc) { tellPuppet(t, p, "detach", "ok") },
	"ends": func(t testing.TB, p *proctest.Proc) {
		p.Tell(t, "end")
		require.NoError(t, p.Wait(t))
	},
	"is killed": func(t testing.TB, p *proctest.Proc) { p.Kill(t) },
	"is killed while it puts": func(t testing.TB, p *proctest.Proc) {
		tellPuppet(t, p, "hold-put 9", "holding")
		p.Kill(t)
	},
}

// When the last registered producer goes, the queue ends: for who waits, and for
// who comes later.
func TestQueueLastProducer(t *testing.T) {
	for name, goes := range goners {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			q := testQueue[int](t, 5, nil)
			procs := producers(t, q, 3)
			idle := hand(t, queuePuppet, q) // has the queue, and is no producer
			idle.Tell(t, "get")
			awaitQueueSleepers(t, idle.Pid(), 1)

			goes(t, procs[0])
			tellPuppet(t, procs[1], "put 1", "ok")
			idle.Expect(t, "1") // it waits on beyond the first to go
			idle.Tell(t, "get")
			awaitQueueSleepers(t, idle.Pid(), 1)
			mine := sleepsIn(t, gets(q, 0))
			goes(t, procs[1])
			tellPuppet(t, procs[2], "put 0", "ok")
			tellPuppet(t, procs[2], "put 0", "ok")
			require.NoError(t, <-mine)
			idle.Expect(t, "0")

			idle.Tell(t, "get")
			mine = sleepsIn(t, gets(q, 0))
			awaitQueueSleepers(t, idle.Pid(), 1)
			goes(t, procs[2])
			require.ErrorIs(t, <-mine, ErrClosed)
			idle.Expect(t, saysClosed("int", "get"))
			_, err := q.TryGet()
			require.ErrorIs(t, err, ErrClosed)
			require.ErrorIs(t, q.TryPut(1), ErrClosed)
			require.ErrorIs(t, q.Register(t.Context()), ErrClosed)
			tellPuppet(t, idle, "register", saysClosed("int", "register"))
		})
	}
}

// What the last producer has put is got before the end, also if nobody waited
// when it went.
func TestQueueLastProducerLeavesItems(t *testing.T) {
	for name, goes := range goners {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			q := testQueue[int](t, 5, nil)
			p := producers(t, q, 1)[0]
			for i := range 4 {
				tellPuppet(t, p, fmt.Sprint("put ", i), "ok")
			}
			goes(t, p)
			var all []int
			for v, err := range q.All(t.Context()) {
				require.NoError(t, err)
				all = append(all, v)
			}
			require.Equal(t, []int{0, 1, 2, 3}, all)
			_, err := q.TryGet()
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

// Until somebody has found out that the last producer has gone, another one may
// come.
func TestQueueProducerAfterTheLast(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	p := producers(t, q, 1)[0]
	tellPuppet(t, p, "put 1", "ok")
	p.Kill(t)
	require.Equal(t, 1, getNow(t, q))
	next := producers(t, q, 1)[0]
	_, err := q.TryGet()
	require.Equal(t, ErrEmpty, err)
	got := sleepsIn(t, gets(q, 2))
	tellPuppet(t, next, "put 2", "ok")
	require.NoError(t, <-got)
	next.Kill(t)
	_, err = q.TryGet()
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, q.Register(t.Context()), ErrClosed)
}

// Without a registered producer a queue never ends by itself.
func TestQueueWithoutRegisteredProducers(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	p := hand(t, queuePuppet, q)
	tellPuppet(t, p, "put 1", "ok")
	p.Kill(t)
	require.Equal(t, 1, getNow(t, q))
	_, err := q.TryGet()
	require.Equal(t, ErrEmpty, err)
	ctx, cancel := context.WithCancel(t.Context())
	got := sleepsIn(t, func() error { _, err := q.Get(ctx); return err })
	cancel()
	require.Equal(t, context.Canceled, <-got)
}

// Registrations count: of a process, and of each of its handles.
func TestQueueRegistersMoreThanOnce(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	other := roundTrip(t, q)
	for range 3 {
		require.NoError(t, q.Register(t.Context()))
		require.NoError(t, other.Register(t.Context()))
	}
	goesOn := func() {
		t.Helper()
		_, err := q.TryGet()
		require.Equal(t, ErrEmpty, err)
	}
	for range 3 {
		q.Deregister()
		goesOn()
	}
	require.EqualError(t, panicOf(t, q.Deregister), `shm: queue "int": deregister: it was not registered with`)
	other.Deregister()
	goesOn()
	require.NoError(t, other.Detach(), "it takes back two")
	_, err := q.TryGet()
	require.ErrorIs(t, err, ErrClosed)
	require.EqualError(t, panicOf(t, q.Deregister), `shm: queue "int": deregister: it was not registered with`)
}

// Register finds out by itself about a holder of the lock that died.
func TestQueueRegisterAfterDeadHolder(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	p := producers(t, q, 1)[0]
	tellPuppet(t, p, "hold-put 9", "holding")
	p.Kill(t)
	require.NoError(t, q.Register(t.Context()))
	_, err := q.TryGet()
	require.Equal(t, ErrEmpty, err)
	q.Deregister()
	_, err = q.TryGet()
	require.ErrorIs(t, err, ErrClosed)
}

// Producers and consumers in several processes: each item arrives once, and those
// of one producer in order. The consumers end because the producers have.
type stamped struct{ Producer, N int32 }

type labelled struct {
	Stamp stamped
	Text  string
}

const crew = 2 // producers, and as many consumers

var (
	slotProducer   = producing(func(p, n int32) stamped { return stamped{p, n} })
	slotConsumer   = consuming(func(s stamped) (stamped, bool) { return s, true })
	recordProducer = producing(func(p, n int32) labelled { return labelled{stamped{p, n}, text(n)} })
	recordConsumer = consuming(func(l labelled) (stamped, bool) { return l.Stamp, l.Text == text(l.Stamp.N) })
)

// text has many lengths.
func text(n int32) string { return fmt.Sprintf("%0*d", n%90, n) }

// producing registers a helper that puts as many items as it is told, in batches
// of the size that it is told.
func producing[T any](item func(producer, n int32) T) *proctest.Program {
	return proctest.Register(fmt.Sprintf("producer of %T", *new(T)), func(h *proctest.Helper) error {
		q, err := take[*Queue[T]](h)
		if err != nil {
			return err
		}
		var me, count, batch int32
		if _, err := fmt.Sscan(h.Args[0], &me, &count, &batch); err != nil {
			return err
		}
		if err := q.Register(context.Background()); err != nil {
			return err
		}
		h.Ready()
		for n := int32(0); n < count; {
			var items []T
			for range min(batch, count-n) {
				items = append(items, item(me, n))
				n++
			}
			if _, err := q.PutAll(context.Background(), items); err != nil {
				return err
			}
		}
		return nil
	})
}

// consuming registers a helper that gets until the end, and says how many items
// of each producer it had and what their numbers add up to.
func consuming[T any](stamp func(T) (stamped, bool)) *proctest.Program {
	return proctest.Register(fmt.Sprintf("consumer of %T", *new(T)), func(h *proctest.Helper) error {
		q, err := take[*Queue[T]](h)
		if err != nil {
			return err
		}
		var batch int
		if _, err := fmt.Sscan(h.Args[0], &batch); err != nil {
			return err
		}
		var counts, sums [crew]int
		last := [crew]int32{-1, -1}
		items := make([]T, batch)
		h.Ready()
		for {
			n, err := q.GetUpTo(context.Background(), items)
			if err != nil {
				h.Say(err.Error())
				h.Say(fmt.Sprint(counts, sums))
				return nil
			}
			for _, item := range items[:n] {
				s, good := stamp(item)
				if !good || s.N <= last[s.Producer] {
					return fmt.Errorf("%+v after %d", item, last[s.Producer])
				}
				last[s.Producer] = s.N
				counts[s.Producer]++
				sums[s.Producer] += int(s.N)
			}
		}
	})
}

func TestQueueProducersAndConsumers(t *testing.T) {
	for _, tt := range []struct{ capacity, items, puts, gets int }{
		{1, 1000, 1, 1}, {8, 4000, 1, 1}, {64, 20_000, 16, 16}, {5, 4000, 7, 3}, {100, 4000, 1, 64}, {100, 10_000, 64, 1},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			t.Run("slots", func(t *testing.T) {
				relay(t, testQueue[stamped](t, tt.capacity, nil), slotProducer, slotConsumer, tt.items, tt.puts, tt.gets)
			})
			t.Run("records", func(t *testing.T) {
				q := testQueue[labelled](t, tt.capacity, &QueueOptions{Bytes: 1024})
				relay(t, q, recordProducer, recordConsumer, tt.items/4, tt.puts, tt.gets)
			})
		})
	}
}

func relay[T any](t *testing.T, q *Queue[T], producer, consumer *proctest.Program, items, puts, gets int) {
	var producers, consumers []*proctest.Proc
	for i := range crew {
		producers = append(producers, hand(t, producer, q, fmt.Sprint(i, items, puts)))
		consumers = append(consumers, hand(t, consumer, q, fmt.Sprint(gets)))
	}
	proctest.Gate(t, append(producers, consumers...)...)
	for _, p := range producers {
		require.NoError(t, p.Wait(t))
	}
	var count, sum [crew]int
	for _, c := range consumers {
		c.Expect(t, saysClosed(reflect.TypeFor[T]().String(), "get"))
		var n, s [crew]int
		_, err := fmt.Sscanf(c.Line(t), "[%d %d] [%d %d]", &n[0], &n[1], &s[0], &s[1])
		require.NoError(t, err)
		for i := range crew {
			count[i] += n[i]
			sum[i] += s[i]
		}
		require.NoError(t, c.Wait(t))
	}
	for i := range crew {
		require.Equal(t, items, count[i])
		require.Equal(t, items*(items-1)/2, sum[i])
	}
	require.Zero(t, q.Len())
	awaitQueueSleepers(t, os.Getpid(), 0)
}
