package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// withoutLooks takes the net away: who is not woken sleeps on, and a test of it
// hangs. Deaths of members, and wakes, must be enough.
func withoutLooks() { firstLook, lastLook = time.Hour, time.Hour }

// A numberQueue is a queue of numbers, of either kind, in this process.
type numberQueue struct {
	*ring
	kind string
	put  func(ctx context.Context, n ...int) error
	get  func(ctx context.Context, most int) ([]int, error)
	hand func(t *testing.T, p map[string]*proctest.Program, args ...string) *proctest.Proc

	register         func(context.Context) error
	join             func(context.Context) error
	deregister       func()
	done             func(int)
	closeAll, detach func() error
	tryPut           func(int) error
	tryGet           func() (int, error)
}

// Numbers are ten digits long, so that records of them do not fit evenly into a
// ring.
const firstNumber = 1_000_000_000

func itemOf[T any](n int) (v T) {
	if _, err := fmt.Sscan(strconv.Itoa(firstNumber+n), &v); err != nil {
		panic(err)
	}
	return v
}

func numberOf(item any) (n int) {
	if _, err := fmt.Sscan(fmt.Sprint(item), &n); err != nil {
		panic(err)
	}
	return n - firstNumber
}

func numbersIn[T any](kind string, q *Queue[T]) *numberQueue {
	return &numberQueue{
		ring: &q.ring,
		kind: kind,
		put: func(ctx context.Context, numbers ...int) error {
			if len(numbers) == 1 {
				return q.Put(ctx, itemOf[T](numbers[0]))
			}
			var items []T
			for _, n := range numbers {
				items = append(items, itemOf[T](n))
			}
			_, err := q.PutAll(ctx, items)
			return err
		},
		get: func(ctx context.Context, most int) (numbers []int, err error) {
			if most == 1 {
				v, err := q.Get(ctx)
				if err != nil {
					return nil, err
				}
				return []int{numberOf(v)}, nil
			}
			items := make([]T, most)
			n, err := q.GetUpTo(ctx, items)
			for _, v := range items[:n] {
				numbers = append(numbers, numberOf(v))
			}
			return numbers, err
		},
		hand: func(t *testing.T, p map[string]*proctest.Program, args ...string) *proctest.Proc {
			return hand(t, p[kind], q, args...)
		},
		register: q.Register, join: q.Join, deregister: q.Deregister, done: q.Done,
		closeAll: q.Close, detach: q.Detach,
		tryPut: func(n int) error { return q.TryPut(itemOf[T](n)) },
		tryGet: func() (int, error) {
			v, err := q.TryGet()
			if err != nil {
				return 0, err
			}
			return numberOf(v), nil
		},
	}
}

// numberKinds are items in slots, and in records: of these three fill the ring,
// almost, and it is full of two.
var numberKinds = map[string]func(t testing.TB, capacity int, tasks bool) *numberQueue{
	"slots": func(t testing.TB, capacity int, tasks bool) *numberQueue {
		return newNumbers[int64](t, "slots", capacity, &QueueOptions{Tasks: tasks})
	},
	"records": func(t testing.TB, capacity int, tasks bool) *numberQueue {
		return newNumbers[string](t, "records", capacity, &QueueOptions{Tasks: tasks, Bytes: 64 * capacity})
	},
}

func newNumbers[T any](t testing.TB, kind string, capacity int, o *QueueOptions) *numberQueue {
	q, err := NewQueue[T](capacity, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Detach()) })
	return numbersIn(kind, q)
}

// queueActors do with a queue what they are told, and say how that went.
var queueActors = map[string]*proctest.Program{
	"slots":   proctest.Register("queue actor", queueActor[int64]("slots", nil)),
	"records": proctest.Register("queue actor, records", queueActor[string]("records", nil)),
}

// queueActor is the function of an actor; first may take an order upon itself.
func queueActor[T any](kind string, first func(order string) bool) func(h *proctest.Helper) error {
	return func(h *proctest.Helper) error {
		if slices.Contains(h.Args, "without looks") {
			withoutLooks()
		}
		q, err := take[*Queue[T]](h)
		if err != nil {
			return err
		}
		numbers := numbersIn(kind, q)
		h.Say("ok")
		for {
			order, err := h.Listen()
			if err != nil {
				return err
			}
			if first != nil && first(order) {
				h.Say("ok")
				continue
			}
			h.Say(numbers.act(order))
		}
	}
}

// act returns the outcome of an order: ok, got N..., closed, full, empty, or the
// error.
func (q *numberQueue) act(order string) string {
	words := strings.Fields(order)
	var numbers []int
	for _, w := range words[1:] {
		if n, err := strconv.Atoi(w); err == nil {
			numbers = append(numbers, n)
		}
	}
	ctx := context.Background()
	if words[0] == "cancel" {
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		words, ctx = words[1:], limited
		event := q.items.event
		if words[0] == "put" {
			event = q.room.event
		}
		event.word.And(^uint32(eventSleeper)) // of others, so that the next one is its own
		go func() {
			awaitFlag(event)
			cancel()
		}()
	}
	switch words[0] {
	case "put":
		return queueOutcome(q.put(ctx, numbers...))
	case "get":
		got, err := q.get(ctx, max(1, append(numbers, 1)[0]))
		return queueOutcome(err, got...)
	case "tryput":
		return queueOutcome(q.tryPut(numbers[0]))
	case "tryget":
		n, err := q.tryGet()
		if err != nil {
			return queueOutcome(err)
		}
		return queueOutcome(nil, n)
	case "work":
		return q.work(numbers[0], numbers[1])
	case "register":
		return queueOutcome(q.register(ctx))
	case "deregister":
		q.deregister()
	case "done":
		q.done(numbers[0])
	case "join":
		return queueOutcome(q.join(ctx))
	case "close":
		return queueOutcome(q.closeAll())
	case "half": // and no more
		q.items.event.alarm(eventClosing)
	case "detach":
		return queueOutcome(q.detach())
	default:
		return "unknown order " + order
	}
	return "ok"
}

// awaitFlag returns when somebody has announced that he sleeps.
func awaitFlag(e *event) {
	for e.word.Load()&eventSleeper == 0 {
		runtime.Gosched()
	}
}

func queueOutcome(err error, numbers ...int) string {
	switch {
	case errors.Is(err, ErrClosed):
		return "closed"
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrEmpty):
		return "empty"
	case err != nil:
		return err.Error()
	case numbers == nil:
		return "ok"
	}
	return "got" + spaced(numbers)
}

func spaced(numbers []int) string {
	text := ""
	for _, n := range numbers {
		text += " " + strconv.Itoa(n)
	}
	return text
}

// work puts n numbers and gets as many, at the same time.
func (q *numberQueue) work(first, n int) string {
	ctx := context.Background()
	failed := make(chan error, 1)
	go func() {
		for i := range n {
			if err := q.put(ctx, first+i); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	var all []int
	for len(all) < n {
		got, err := q.get(ctx, min(2, n-len(all)))
		if err != nil {
			return queueOutcome(err)
		}
		if q.counted {
			q.done(len(got))
		}
		all = append(all, got...)
	}
	if err := <-failed; err != nil {
		return queueOutcome(err)
	}
	return queueOutcome(nil, all...)
}

// gotten returns the numbers that an actor says it has got.
func gotten(t testing.TB, line string) (numbers []int) {
	t.Helper()
	words := strings.Fields(line)
	require.NotEmpty(t, words)
	require.Equal(t, "got", words[0], line)
	for _, w := range words[1:] {
		n, err := strconv.Atoi(w)
		require.NoError(t, err)
		numbers = append(numbers, n)
	}
	return numbers
}

// startActor starts an actor that has the queue.
func (q *numberQueue) startActor(t *testing.T, p map[string]*proctest.Program, looks bool) *proctest.Proc {
	t.Helper()
	args := []string{"without looks"}
	if looks {
		args = nil
	}
	a := q.hand(t, p, args...)
	a.Expect(t, "ok")
	return a
}

// obey has an actor carry out orders, each with this outcome.
func obey(t testing.TB, p *proctest.Proc, want string, orders ...string) {
	t.Helper()
	for _, o := range orders {
		p.Tell(t, o)
		p.Expect(t, want)
	}
}

// drain gets all that is there.
func (q *numberQueue) drain(t testing.TB) (numbers []int) {
	t.Helper()
	for {
		n, err := q.tryGet()
		if err != nil {
			require.ErrorIs(t, err, ErrEmpty)
			return numbers
		}
		if q.counted {
			q.done(1)
		}
		numbers = append(numbers, n)
	}
}

// awaitQueueSleeper returns when a thread of the process sleeps in its queue, or has
// slept there until it looked on its own account, and been stopped at the step after.
func awaitQueueSleeper(t testing.TB, pid int) {
	t.Helper()
	asleep := fmt.Sprintf("%d ", unix.SYS_FUTEX_WAITV)
	for {
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		require.NoError(t, err)
		for _, path := range paths {
			// What cannot be read is a thread that has just ended.
			if text, _ := os.ReadFile(path); strings.HasPrefix(string(text), asleep) {
				return
			}
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(stat), ") T ") {
			return
		}
		runtime.Gosched()
	}
}

// sleepOnEvent plays a process that sleeps on an event as it is now, but that
// watches nobody: only a wake ends it. It returns when the sleeper sleeps; the
// channel is closed when it was woken.
func sleepOnEvent(t testing.TB, e *event) <-chan struct{} {
	t.Helper()
	woken, thread := make(chan struct{}), make(chan int)
	val := e.word.Load()
	go func() {
		defer close(woken)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		if err := futex.Wait(&e.word, val, 0); err != nil {
			panic(err)
		}
	}()
	path := fmt.Sprintf("/proc/self/task/%d/syscall", <-thread)
	shared := fmt.Sprintf("%d 0x7", unix.SYS_FUTEX) // a mapping; the runtime's own futexes lie lower
	for {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.HasPrefix(string(text), shared) {
			return woken
		}
		runtime.Gosched()
	}
}
