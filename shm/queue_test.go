package shm

import (
	"context"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// testQueue makes a queue that is detached at the end of the test.
func testQueue[T any](t testing.TB, capacity int, o *QueueOptions) *Queue[T] {
	t.Helper()
	q, err := NewQueue[T](capacity, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Detach()) })
	return q
}

// otherHandle opens the queue once more in this process.
func otherHandle[T any](t testing.TB, q *Queue[T]) *Queue[T] {
	t.Helper()
	other := roundTrip(t, q)
	t.Cleanup(func() { require.NoError(t, other.Detach()) })
	return other
}

// putNow and getNow are for what must work at once.
func putNow[T any](t testing.TB, q *Queue[T], items ...T) {
	t.Helper()
	for _, v := range items {
		require.NoError(t, q.TryPut(v))
	}
}

func getNow[T any](t testing.TB, q *Queue[T]) T {
	t.Helper()
	v, err := q.TryGet()
	require.NoError(t, err)
	return v
}

func requireEmpty[T any](t testing.TB, q *Queue[T]) {
	t.Helper()
	_, err := q.TryGet()
	require.ErrorIs(t, err, ErrEmpty)
	require.Zero(t, q.Len())
}

// expired is a context that has ended: what it is given to does what can be done
// at once.
func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// awaitQueueSleepers returns when n threads of a process sleep for something in
// shared memory.
func awaitQueueSleepers(t testing.TB, pid, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	dir, call := fmt.Sprintf("/proc/%d/task/", pid), strconv.Itoa(unix.SYS_FUTEX_WAITV)+" "
	for ; ; <-tick.C {
		tasks, err := os.ReadDir(dir)
		require.NoError(t, err)
		asleep := 0
		for _, task := range tasks {
			// What cannot be read is a thread that has just ended.
			if text, _ := os.ReadFile(dir + task.Name() + "/syscall"); strings.HasPrefix(string(text), call) {
				asleep++
			}
		}
		if asleep == n {
			return
		}
		require.NoError(t, t.Context().Err())
	}
}

// A puppet is a helper that does with a queue what it is told, line by line, and
// says what came of it.
var queuePuppet = proctest.Register("queue puppet", func(h *proctest.Helper) error {
	q, err := take[*Queue[int]](h)
	if err != nil {
		return err
	}
	for {
		line, err := h.Listen()
		if err != nil {
			return err
		}
		order, number, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(number)
		if order == "end" {
			return nil
		}
		h.Say(perform(h, q, order, n))
	}
})

// perform carries out one order of a puppet.
func perform(h *proctest.Helper, q *Queue[int], order string, n int) string {
	ctx := context.Background()
	var v any = "ok"
	var err error
	hold := func(item *int) error { // until the next line; then it fails unless that is "go on"
		h.Say("holding")
		line, err := h.Listen()
		if err == nil && line != "go on" {
			return fmt.Errorf("%s", line)
		}
		*item = n
		return err
	}
	switch order {
	case "put":
		err = q.Put(ctx, n)
	case "get":
		v, err = q.Get(ctx)
	case "hold-put":
		err = q.PutFunc(ctx, hold)
	case "hold-get":
		err = q.GetFunc(ctx, hold)
	case "close":
		err = q.Close()
	case "detach":
		err = q.Detach()
	case "register":
		err = q.Register(ctx)
	case "deregister":
		q.Deregister()
	case "done":
		q.Done(n)
	case "join":
		err = q.Join(ctx)
	default:
		err = fmt.Errorf("no order: %q", order)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}

// tellPuppet tells a puppet to do something, and waits until it says what came of it.
func tellPuppet(t testing.TB, p *proctest.Proc, line, want string) {
	t.Helper()
	p.Tell(t, line)
	p.Expect(t, want)
}

// saysClosed is how a closed queue refuses, and saysDetached one that was given up.
func saysClosed(name, op string) string { return fmt.Sprintf("shm: queue %q: %s: closed", name, op) }
func saysDetached(name, op string) string {
	return fmt.Sprintf("shm: queue %q: %s: detached", name, op)
}

// The order of Put is the order of Get, whoever puts and gets.
func TestQueueFIFO(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 100, nil)
	a, b := hand(t, queuePuppet, q), hand(t, queuePuppet, q)
	for i := range 33 {
		tellPuppet(t, a, fmt.Sprint("put ", 3*i), "ok")
		putNow(t, q, 3*i+1)
		tellPuppet(t, b, fmt.Sprint("put ", 3*i+2), "ok")
	}
	require.Equal(t, 99, q.Len())
	for i := range 33 {
		tellPuppet(t, b, "get", fmt.Sprint(3*i))
		tellPuppet(t, a, "get", fmt.Sprint(3*i+1))
		require.Equal(t, 3*i+2, getNow(t, q))
	}
	requireEmpty(t, q)
}

func TestQueueCapacityIsExact(t *testing.T) {
	proctest.NoLeaks(t)
	for _, capacity := range []int{1, 2, 3, 4, 5, 7, 8, 9, 1000} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			fillsExactly(t, testQueue[int](t, capacity, nil), func(i int) int { return i })
			fillsExactly(t, testQueue[string](t, capacity, nil), strconv.Itoa)
		})
	}
}

// fillsExactly checks that a queue takes as many items as its capacity says, at every
// place of the ring.
func fillsExactly[T any](t *testing.T, q *Queue[T], item func(int) T) {
	capacity := q.Cap()
	name := fmt.Sprintf("shm.Queue[%v]", reflect.TypeFor[T]())
	for round := range 3 {
		for i := range capacity {
			require.Equal(t, i, q.Len())
			require.NoError(t, q.TryPut(item(i)))
		}
		require.Equal(t, fmt.Sprintf("%s(%d of %[2]d)", name, capacity), q.String())
		require.Equal(t, ErrFull, q.TryPut(item(-1)))
		require.ErrorIs(t, q.Put(expired(), item(-1)), context.Canceled)
		n, err := q.PutAll(expired(), []T{item(-1)})
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, n)
		for i := range capacity {
			require.Equal(t, item(i), getNow(t, q), "round %d", round)
			require.Equal(t, capacity-i-1, q.Len())
		}
		requireEmpty(t, q)
		putNow(t, q, item(7)) // the next round begins one place further
		require.Equal(t, item(7), getNow(t, q))
	}
}

// Batches of all sizes, at all places, smaller and larger than the ring.
func TestQueueBatches(t *testing.T) {
	proctest.NoLeaks(t)
	for _, capacity := range []int{1, 3, 4, 7} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			batches(t, testQueue[int](t, capacity, nil), func(i int) int { return i })
			batches(t, testQueue[string](t, capacity, &QueueOptions{Bytes: 128}), strconv.Itoa)
		})
	}
}

func batches[T any](t *testing.T, q *Queue[T], item func(int) T) {
	next := 0
	for size := range 3 * q.Cap() {
		var items []T
		for range size {
			items = append(items, item(next+len(items)))
		}
		n, err := q.PutAll(expired(), items)
		require.Equal(t, min(size, q.Cap()), n, "as many as there is room for")
		if n < size {
			require.ErrorIs(t, err, context.Canceled)
		} else {
			require.NoError(t, err)
		}
		for got := 0; got < n; {
			some := make([]T, 2)
			k, err := q.GetUpTo(t.Context(), some)
			require.NoError(t, err)
			require.Equal(t, min(2, n-got), k)
			require.Equal(t, items[got:got+k], some[:k])
			got += k
		}
		next += size
	}
	n, err := q.GetUpTo(expired(), make([]T, 2))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, n)
	n, err = q.GetUpTo(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = q.PutAll(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

// PutAll waits for room until all is put, while others get.
func TestQueuePutAllWaits(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 5, nil)
	p := hand(t, queuePuppet, q)
	var items []int
	for i := range 23 {
		items = append(items, i)
	}
	done := make(chan error, 1)
	go func() {
		n, err := q.PutAll(context.Background(), items)
		if err == nil && n != len(items) {
			err = fmt.Errorf("%d of %d", n, len(items))
		}
		done <- err
	}()
	for i := range items {
		tellPuppet(t, p, "get", fmt.Sprint(i))
	}
	require.NoError(t, <-done)
	require.Zero(t, q.Len())
}

func TestNewQueueRefusesSizes(t *testing.T) {
	proctest.NoLeaks(t)
	refused := func(err error, name, text string) {
		t.Helper()
		require.ErrorIs(t, err, ErrSize)
		require.EqualError(t, err, fmt.Sprintf("shm: queue %q: create: wrong size: %s", name, text))
	}
	for _, capacity := range []int{0, -1, math.MinInt, 1<<31 + 1, math.MaxInt} {
		_, err := NewQueue[int](capacity, nil)
		refused(err, "int", fmt.Sprintf("a capacity of %d items", capacity))
		_, err = NewQueue[string](capacity, nil)
		refused(err, "string", fmt.Sprintf("a capacity of %d items", capacity))
	}
	for _, bytes := range []int{-1, math.MinInt, 1<<34 + 1, math.MaxInt} {
		_, err := NewQueue[string](1, &QueueOptions{Bytes: bytes})
		refused(err, "string", fmt.Sprintf("room of %d bytes", bytes))
	}
	_, err := NewQueue[[1 << 20]byte](1<<31, nil) // more than fits into the address space
	require.Error(t, err)
	_, err = NewQueue[int](1, &QueueOptions{Name: strings.Repeat("n", 250)})
	require.ErrorIs(t, err, unix.EINVAL)
	require.Empty(t, mappings.byKey)
}

// The largest queues cost nothing until they are used.
func TestQueueLargest(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[byte](t, 1<<31, nil)
	putNow(t, q, 1, 2)
	require.Equal(t, byte(1), getNow(t, q))
	require.Equal(t, 1<<31, q.Cap())
	s := testQueue[string](t, 1<<31, &QueueOptions{Bytes: 1 << 34})
	putNow(t, s, "text")
	require.Equal(t, "text", getNow(t, s))
	require.Equal(t, 1<<33-8, s.records.biggest())
}

func TestQueueName(t *testing.T) {
	proctest.NoLeaks(t)
	testQueue[int16](t, 1, nil)
	require.Equal(t, 1, mapped(t, "int16"))
	testQueue[int16](t, 1, &QueueOptions{Name: "of numbers"})
	require.Equal(t, 1, mapped(t, "of numbers"))
}

// A name of a type may be longer than a segment's name can be.
func TestQueueOfTypeWithLongName(t *testing.T) {
	type long = struct {
		AFieldWithAVeryLongNameThatSaysEverything, AnotherFieldWithAVeryLongNameThatSaysEverything int32
		YetAnotherFieldWithAVeryLongNameThatSaysEverything, AndOneMoreFieldWithAVeryLongName       int32
		AndOneMoreFieldWithAVeryLongNameWithoutAnEnd, AndSoOnUntilTheNameOfTheTypeHas250Bytes      int32
	}
	require.Greater(t, len(reflect.TypeFor[long]().String()), 249)
	q := testQueue[long](t, 1, nil)
	putNow(t, q, long{AndSoOnUntilTheNameOfTheTypeHas250Bytes: 7})
	require.EqualValues(t, 7, getNow(t, q).AndSoOnUntilTheNameOfTheTypeHas250Bytes)
}
