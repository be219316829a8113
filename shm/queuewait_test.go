package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// sleepsIn runs fn in the background, and returns once it sleeps. What fn returns
// comes through the channel.
func sleepsIn(t testing.TB, fn func() error) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- fn() }()
	awaitQueueSleepers(t, os.Getpid(), 1)
	return result
}

// gets returns a function that expects to get v.
func gets[T comparable](q *Queue[T], want T) func() error {
	return func() error {
		v, err := q.Get(context.Background())
		if err == nil && v != want {
			err = fmt.Errorf("got %v, want %v", v, want)
		}
		return err
	}
}

func TestQueueGetWaitsForItem(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 3, nil)
	p := hand(t, queuePuppet, q)
	for i := range 20 {
		got := sleepsIn(t, gets(q, i))
		tellPuppet(t, p, fmt.Sprint("put ", i), "ok")
		require.NoError(t, <-got)

		p.Tell(t, "get")
		awaitQueueSleepers(t, p.Pid(), 1)
		putNow(t, q, -i)
		p.Expect(t, fmt.Sprint(-i))
	}
}

func TestQueuePutWaitsForRoom(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 1, nil)
	p := hand(t, queuePuppet, q)
	for i := range 20 {
		putNow(t, q, i)
		put := sleepsIn(t, func() error { return q.Put(context.Background(), -i) })
		tellPuppet(t, p, "get", fmt.Sprint(i))
		require.NoError(t, <-put)

		p.Tell(t, fmt.Sprint("put ", i))
		awaitQueueSleepers(t, p.Pid(), 1)
		require.Equal(t, -i, getNow(t, q))
		p.Expect(t, "ok")
		require.Equal(t, i, getNow(t, q))
	}
}

// A message waits until there is room for all of it.
func TestQueueMessageWaitsForRoom(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[[]byte](t, 100, &QueueOptions{Bytes: 64})
	small, big := make([]byte, 8), make([]byte, 24) // 2 and 4 units of 8
	putNow(t, q, small, small, small, small)
	put := sleepsIn(t, func() error { return q.Put(context.Background(), big) })
	for left := range 2 {
		awaitQueueSleepers(t, os.Getpid(), 1)
		require.Empty(t, put)
		require.Equal(t, 4-left, q.Len())
		require.Equal(t, small, getNow(t, q))
	}
	require.NoError(t, <-put)
	require.Equal(t, 3, q.Len())
}

// Each of those who wait for what PutAll puts, in this process and others, gets
// one.
func TestQueuePutAllWakesMany(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 10, nil)
	for range 4 {
		puppets := []*proctest.Proc{hand(t, queuePuppet, q), hand(t, queuePuppet, q)}
		for _, p := range puppets {
			p.Tell(t, "get")
			awaitQueueSleepers(t, p.Pid(), 1)
		}
		var mine []<-chan error
		for range 3 {
			mine = append(mine, sleepsIn(t, gets(q, 7)))
		}
		n, err := q.PutAll(t.Context(), []int{7, 7, 7, 7, 7})
		require.NoError(t, err)
		require.Equal(t, 5, n)
		for _, p := range puppets {
			p.Expect(t, "7")
		}
		for _, got := range mine {
			require.NoError(t, <-got)
		}
		requireEmpty(t, q)
		for _, p := range puppets { // not before: the end of a member wakes the others as well
			p.Tell(t, "end")
			require.NoError(t, p.Wait(t))
		}
	}
}

// With a context that has ended everything is done that can be done at once.
func TestQueueContextAlreadyEnded(t *testing.T) {
	proctest.NoLeaks(t)
	past, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: expired(), context.DeadlineExceeded: past} {
		q := testQueue[int](t, 2, &QueueOptions{Tasks: true})
		_, err := q.Get(ctx)
		require.Equal(t, want, err)
		require.NoError(t, q.Put(ctx, 1))
		n, err := q.PutAll(ctx, []int{2, 3})
		require.Equal(t, want, err)
		require.Equal(t, 1, n)
		require.Equal(t, want, q.Put(ctx, 9))
		require.Equal(t, want, q.Join(ctx))
		v, err := q.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		some := make([]int, 2)
		n, err = q.GetUpTo(ctx, some)
		require.NoError(t, err)
		require.Equal(t, []int{2}, some[:n])
		require.Equal(t, want, q.Join(ctx))
		q.Done(2)
		require.NoError(t, q.Join(ctx))
		for _, err := range q.All(ctx) {
			require.Equal(t, want, err)
		}
		require.NoError(t, q.Register(ctx))
		require.NoError(t, q.Close())
		_, err = q.Get(ctx)
		require.ErrorIs(t, err, ErrClosed)
	}
}

// The end of a context ends each wait: of the one who sleeps, and of one behind
// it.
func TestQueueContextEndsWaits(t *testing.T) {
	proctest.NoLeaks(t)
	full := testQueue[int](t, 1, &QueueOptions{Tasks: true})
	putNow(t, full, 1)
	empty := testQueue[string](t, 1, nil)
	for name, op := range map[string]func(context.Context) error{
		"Put":     func(ctx context.Context) error { return full.Put(ctx, 2) },
		"PutAll":  func(ctx context.Context) error { _, err := full.PutAll(ctx, []int{2}); return err },
		"PutFunc": func(ctx context.Context) error { return full.PutFunc(ctx, func(*int) error { return nil }) },
		"Join":    func(ctx context.Context) error { return full.Join(ctx) },
		"Get":     func(ctx context.Context) error { _, err := empty.Get(ctx); return err },
		"GetUpTo": func(ctx context.Context) error { _, err := empty.GetUpTo(ctx, make([]string, 2)); return err },
		"All": func(ctx context.Context) (last error) {
			for _, err := range empty.All(ctx) {
				last = err
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			var results []<-chan error
			var cancels []context.CancelFunc
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				cancels = append(cancels, cancel)
				results = append(results, sleepsIn(t, func() error { return op(ctx) }))
			}
			for _, i := range []int{1, 0, 2} { // one behind the sleeper first, if nobody overtook
				cancels[i]()
				require.Equal(t, context.Canceled, <-results[i])
			}
			awaitQueueSleepers(t, os.Getpid(), 0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			require.Equal(t, context.DeadlineExceeded, op(ctx))
		})
	}
	require.Equal(t, 1, getNow(t, full), "nothing was put meanwhile")
	requireEmpty(t, full)
	putNow(t, empty, "a")
	require.Equal(t, "a", getNow(t, empty))
}

// Who gives up may have consumed the wake for an item, and wakes another: nobody
// sleeps beside an item, whoever gives up when.
func TestQueueCancelledBesideItem(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 1, nil)
	p := hand(t, queuePuppet, q)
	gaveUp := 0
	for i := range 200 {
		p.Tell(t, "get")
		ctx, cancel := context.WithCancel(t.Context())
		mine := make(chan error, 1)
		go func() {
			_, err := q.Get(ctx)
			mine <- err
		}()
		if i%2 == 0 {
			awaitQueueSleepers(t, os.Getpid(), 1)
		}
		go cancel()
		putNow(t, q, 1)
		if <-mine == nil {
			require.NoError(t, q.Put(t.Context(), 1)) // I took it; this one is the puppet's
		} else {
			gaveUp++
		}
		p.Expect(t, "1")
		requireEmpty(t, q)
	}
	t.Logf("gave up %d times", gaveUp)
}

// The same when it is certain who was woken: the first to sleep, who then finds
// the lock taken.
func TestQueueGivesUpAfterItWasWoken(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 1, nil)
	p := hand(t, queuePuppet, q)
	for i := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		mine := sleepsIn(t, func() error { _, err := q.Get(ctx); return err })
		p.Tell(t, "get")
		awaitQueueSleepers(t, p.Pid(), 1)
		q.ring.words.get.Lock()
		putNow(t, q, i)
		cancel()
		require.Equal(t, context.Canceled, <-mine)
		q.ring.words.get.Unlock()
		p.Expect(t, fmt.Sprint(i))
	}
}

// Close ends all waits, on both sides, here and elsewhere; what is in the queue
// can still be got.
func TestQueueCloseWhileOthersWait(t *testing.T) {
	proctest.NoLeaks(t)
	empty, full := testQueue[int](t, 1, nil), testQueue[int](t, 1, nil)
	putNow(t, full, 7)
	getter, putter, closer := hand(t, queuePuppet, empty), hand(t, queuePuppet, full), hand(t, queuePuppet, full)
	getter.Tell(t, "get")
	putter.Tell(t, "put 9")
	awaitQueueSleepers(t, getter.Pid(), 1)
	awaitQueueSleepers(t, putter.Pid(), 1)
	var results []<-chan error
	for range 5 {
		results = append(results,
			waitingAtAll(func() error { _, err := empty.Get(context.Background()); return err }),
			waitingAtAll(func() error { return full.Put(context.Background(), 9) }))
	}
	awaitQueueSleepers(t, os.Getpid(), 2)
	require.NoError(t, empty.Close())
	tellPuppet(t, closer, "close", "ok")
	for _, result := range results {
		require.ErrorIs(t, <-result, ErrClosed)
	}
	getter.Expect(t, saysClosed("int", "get"))
	putter.Expect(t, saysClosed("int", "put"))
	tellPuppet(t, putter, "get", "7")
	_, err := full.Get(t.Context())
	require.ErrorIs(t, err, ErrClosed)
}

func waitingAtAll(fn func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- fn() }()
	return result
}

func TestQueueAfterClose(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[string](t, 5, nil)
	slots := testQueue[int](t, 5, nil)
	putNow(t, q, "a", "b", "c")
	putNow(t, slots, 1, 2, 3)
	for range 2 {
		require.NoError(t, q.Close())
		require.NoError(t, slots.Close())
	}
	for _, ctx := range []context.Context{t.Context(), expired(), atOnce} {
		for text, err := range map[string]error{
			saysClosed("string", "put"):      q.Put(ctx, "d"),
			saysClosed("int", "put"):         slots.Put(ctx, 4),
			saysClosed("string", "register"): q.Register(ctx),
		} {
			require.ErrorIs(t, err, ErrClosed)
			require.EqualError(t, err, text)
		}
	}
	n, err := slots.PutAll(t.Context(), []int{4})
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, n)
	require.Equal(t, 3, q.Len())

	require.Equal(t, "a", getNow(t, q))
	some := make([]string, 5)
	n, err = q.GetUpTo(t.Context(), some)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c"}, some[:n])
	for _, ctx := range []context.Context{t.Context(), expired(), atOnce} {
		_, err := q.Get(ctx)
		require.ErrorIs(t, err, ErrClosed)
		require.EqualError(t, err, saysClosed("string", "get"))
		_, err = q.GetUpTo(ctx, some)
		require.ErrorIs(t, err, ErrClosed)
	}
	var all []int
	for v, err := range slots.All(t.Context()) {
		require.NoError(t, err)
		all = append(all, v)
	}
	require.Equal(t, []int{1, 2, 3}, all)
	require.Equal(t, "shm.Queue[string](0 of 5)", q.String())
}

func TestQueueAllCanBeLeft(t *testing.T) {
	q := testQueue[int](t, 3, nil)
	putNow(t, q, 1, 2, 3)
	for v, err := range q.All(t.Context()) {
		require.NoError(t, err)
		if v == 2 {
			break
		}
	}
	require.Equal(t, 3, getNow(t, q))
}

// 10,000 goroutines that wait at one queue cost a handful of threads.
func TestQueueCrowd(t *testing.T) {
	proctest.NoLeaks(t)
	const crowd = 10_000
	q := testQueue[int](t, 100, nil)
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		return len(tasks)
	}
	before := threads()
	var arrived, served sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for range crowd {
		arrived.Add(1)
		served.Go(func() {
			arrived.Done()
			v, err := q.Get(context.Background())
			mu.Lock()
			defer mu.Unlock()
			if !errors.Is(err, ErrClosed) {
				sum += v
			}
		})
	}
	arrived.Wait()
	awaitQueueSleepers(t, os.Getpid(), 1)
	require.Less(t, threads(), before+20)
	want := 0
	for i := range crowd - 10 {
		require.NoError(t, q.Put(t.Context(), i))
		want += i
	}
	require.NoError(t, q.Close())
	served.Wait()
	require.Equal(t, want, sum)
	require.Less(t, threads(), before+20)
}
