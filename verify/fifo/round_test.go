package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

// A shape says how big the rounds are.
type shape struct {
	producers, consumers int // processes
	goroutines           int // of each
	quota                int // items a goroutine puts, at most
	tries, batch         int
	kills                int           // at most
	within               time.Duration // each comes so long after the one before, at most
	replace              bool          // the dead are replaced
	longest              int           // log
	capacities           []int
}

var (
	// Of these a model can decide.
	shortQueue = shape{producers: 2, consumers: 2, goroutines: 2, quota: 12, tries: 40, batch: 3, kills: 3, within: 2 * time.Millisecond,
		longest: 256, capacities: []int{1, 2, 3, 5, 16}}
	shortPipe = shape{producers: 1, consumers: 1, goroutines: 1, quota: 12, tries: 40, batch: 3, kills: 1, within: time.Millisecond,
		longest: 256, capacities: []int{1, 2, 3, 5, 16}}

	longQueue = shape{producers: 2, consumers: 2, goroutines: 2, quota: 60_000, tries: 5, batch: 20, kills: 16, within: 100 * time.Millisecond,
		longest: 2 << 20, replace: true, capacities: []int{1, 2, 7, 64, 1000}}
	longPipe = shape{producers: 1, consumers: 1, goroutines: 1, quota: 60_000, tries: 20, batch: 20, kills: 1, within: 300 * time.Millisecond,
		longest: 1 << 20, capacities: []int{1, 2, 7, 64, 1000}}
)

// quotaOfPlace keeps rounds short in which everybody waits for everybody.
const quotaOfPlace = 5000

// recordBytes is the room for records, of which the longest has 79 bytes.
const recordBytes = 512

var (
	slotClients   = proctest.Register("slots", clients(slots))
	recordClients = proctest.Register("records", clients(records))
)

func clients[T any](f form[T]) func(*proctest.Helper) error {
	return func(h *proctest.Helper) error {
		k, err := take[task[T]](h)
		if err != nil {
			return err
		}
		return k.run(h, f)
	}
}

// A counts is what rounds came to.
type counts struct {
	rounds, kills, pending, missing, ops int
	outcomes                             map[string]int
}

// An actor is one process of a round.
type actor struct {
	*proctest.Proc
	puts, gets []role
	died       *death
}

func (a *actor) roles() []role { return slices.Concat(a.puts, a.gets) }

// A round is one queue or pipe, and the processes that use it.
type round[T any] struct {
	*testing.T
	shape
	capacity int
	pipe     bool
	random   *rand.Rand
	program  *proctest.Program
	log      *shm.Array[entry]
	task     func() task[T] // with the queue, or one end after the other

	actors  []*actor
	clients int
}

// actor starts a process for one side.
func (r *round[T]) actor(getting, closes bool) *actor {
	a := &actor{}
	for range r.goroutines {
		one := role{
			Client: r.clients,
			Quota:  min(r.quota, r.capacity*quotaOfPlace),
			Tries:  r.tries,
			Batch:  r.batch,
			Closes: closes && len(a.puts) == 0,
			Log:    r.longest,
		}
		r.clients++
		if getting {
			a.gets = append(a.gets, one)
		} else {
			a.puts = append(a.puts, one)
		}
	}
	k := r.task()
	k.Log, k.Seed, k.Puts, k.Gets = r.log, r.random.Uint64(), a.puts, a.gets
	a.Proc = hand(r.T, r.program, k)
	if k.Pipe != nil {
		require.NoError(r, k.Pipe.Close()) // the process has its own
	}
	r.actors = append(r.actors, a)
	return a
}

// play lets the processes work, kills some of them at random instants, and
// returns what all saw. The last consumer lives: it gets what is left.
func (r *round[T]) play() *history {
	closes := !r.pipe && r.random.IntN(3) == 0
	for i := range r.producers {
		r.actor(false, closes && i == 0)
	}
	for range r.consumers {
		r.actor(true, false)
	}
	mortal := slices.Clone(r.actors)
	if !r.pipe {
		mortal = mortal[:len(mortal)-1]
	}
	var all []*proctest.Proc
	for _, a := range r.actors {
		all = append(all, a.Proc)
	}
	proctest.Gate(r, all...)
	for range r.random.IntN(r.kills + 1) {
		<-time.After(time.Duration(r.random.Int64N(int64(r.within)))) // a random instant is what is wanted
		i := r.random.IntN(len(mortal))
		a := mortal[i]
		a.died = &death{begin: now()}
		a.Kill(r)
		a.died.end = now()
		mortal = slices.Delete(mortal, i, i+1)
		if r.replace {
			b := r.actor(len(a.gets) > 0, false)
			proctest.Gate(r, b.Proc)
			mortal = append(mortal, b)
		}
	}
	for _, a := range r.actors {
		if a.died == nil {
			require.NoError(r, a.Wait(r))
		}
	}
	h := r.history()
	for _, a := range r.actors {
		if a.died != nil {
			h.killed++
		}
	}
	return h
}

// history reads the logs, and finds out when it was closed: by one who closes it
// for all, or when the last one who puts had left; a pipe also when the one who
// gets had died.
func (r *round[T]) history() *history {
	h := &history{closedPut: never}
	var producersLeft int64
	for _, a := range r.actors {
		for _, one := range a.roles() {
			before := len(h.ops)
			left, err := h.read(logOf(r.log, one.Client, r.longest), one.Client, a.died)
			require.NoError(r, err)
			if len(a.puts) > 0 && len(h.ops) > before {
				producersLeft = max(producersLeft, left)
			} else if r.pipe && a.died != nil {
				h.closedPut = a.died.begin
			}
		}
	}
	h.closedGet = producersLeft
	for _, o := range h.ops {
		if o.kind == shut {
			h.closedGet = min(h.closedGet, o.call)
		}
	}
	if !r.pipe {
		h.closedPut = h.closedGet
	}
	return h
}

// play does one round with items of type T, in a queue or through a pipe.
func play[T any](t *testing.T, random *rand.Rand, s shape, f form[T], program *proctest.Program, throughPipe bool) *history {
	log, err := shm.NewArray[entry](s.longest*s.goroutines*(s.producers+s.consumers+s.kills), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	capacity := s.capacities[random.IntN(len(s.capacities))]
	r := &round[T]{T: t, shape: s, capacity: capacity, pipe: throughPipe, random: random, program: program, log: log}

	if throughPipe {
		a, b, err := shm.NewPipe[T](&shm.PipeOptions{Capacity: capacity, Bytes: recordBytes, OneWay: random.IntN(2) == 0})
		require.NoError(t, err)
		ends := []*shm.Pipe[T]{b, a} // the second one sends, if not both
		r.task = func() task[T] {
			end := ends[0]
			ends = ends[1:]
			return task[T]{Pipe: end}
		}
	} else {
		q, err := shm.NewQueue[T](capacity, &shm.QueueOptions{Bytes: recordBytes})
		require.NoError(t, err)
		defer func() { require.NoError(t, q.Detach()) }()
		r.task = func() task[T] { return task[T]{Queue: q} }
	}
	h := r.play()
	h.capacity, h.full = capacity, capacity
	if _, fixed := any(f).(form[item]); !fixed {
		h.full = 1 // the room is used up earlier
	}
	return h
}
