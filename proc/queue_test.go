package proc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// newQueue makes a queue that is given up at the end of the test.
func newQueue[T any](t testing.TB, capacity int, o *shm.QueueOptions) *shm.Queue[T] {
	t.Helper()
	q, err := shm.NewQueue[T](capacity, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Detach()) })
	return q
}

// takeNow gets an item that is there.
func takeNow[T any](t testing.TB, q *shm.Queue[T]) T {
	t.Helper()
	v, err := q.TryGet()
	require.NoError(t, err)
	return v
}

// A workload is what a worker at a conveyor gets: nested, and with other things.
type workload struct {
	Queues  map[string]*shm.Queue[int]
	Results []*shm.Queue[string]
	Done    *shm.Value[float64]
}

var workShift = proc.RegisterTask("work a workload", func(ctx context.Context, s workload) error {
	for n, err := range s.Queues["in"].All(ctx) {
		if err != nil {
			return err
		}
		if err := s.Results[0].Put(ctx, strings.Repeat("x", n)); err != nil {
			return err
		}
		s.Done.Do(func(v *float64) { *v++ })
		s.Queues["in"].Done(1)
	}
	return nil
})

func TestQueueInArgument(t *testing.T) {
	proctest.NoLeaks(t)
	in, out := newQueue[int](t, 3, &shm.QueueOptions{Tasks: true}), newQueue[string](t, 100, nil)
	s := workload{map[string]*shm.Queue[int]{"in": in, "none": nil}, []*shm.Queue[string]{out}, newValue(t, 0)}
	var workers []*proc.Call[proc.None]
	for range 2 {
		workers = append(workers, start(t, workShift, s, nil))
	}
	for n := range 50 {
		require.NoError(t, in.Put(t.Context(), n))
	}
	require.NoError(t, in.Join(t.Context()))
	require.Equal(t, 50.0, s.Done.Get())
	require.Equal(t, 50, out.Len())
	require.NoError(t, in.Close())
	for _, w := range workers {
		require.NoError(t, w.Join(t.Context()))
	}
	sum := 0
	for out.Len() > 0 {
		sum += len(takeNow(t, out))
	}
	require.Equal(t, 50*49/2, sum)
}

var makeQueue = proc.Register("make a queue", func(ctx context.Context, n int) (q *shm.Queue[[]string], err error) {
	if q, err = shm.NewQueue[[]string](10, nil); err != nil {
		return nil, err
	}
	for i := range n {
		err = errors.Join(err, q.Put(ctx, []string{"item", fmt.Sprint(i)}))
	}
	return q, errors.Join(err, q.Register(ctx)) // until this process ends
})

// A queue that a child made, and all that it has put, outlives it.
func TestQueueInResult(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, makeQueue, 3, nil)
	q, err := c.Result(t.Context())
	require.NoError(t, err)
	<-c.Done()
	for i := range 3 {
		require.Equal(t, []string{"item", fmt.Sprint(i)}, takeNow(t, q))
	}
	_, err = q.Get(t.Context())
	require.ErrorIs(t, err, shm.ErrClosed, "its only producer has gone")
	require.NoError(t, q.Detach())
}

func TestQueueInResultThatNobodyAsksFor(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, makeQueue, 3, nil)
	require.NoError(t, c.Join(t.Context()))
	require.NoError(t, c.Close())
}

func TestDetachedQueueAsArgument(t *testing.T) {
	proctest.NoLeaks(t)
	q, err := shm.NewQueue[int](1, nil)
	require.NoError(t, err)
	require.NoError(t, q.Detach())
	_, err = workShift.Start(t.Context(), workload{Queues: map[string]*shm.Queue[int]{"in": q}}, nil)
	require.ErrorIs(t, err, shm.ErrClosed)
	require.ErrorContains(t, err, "encode the argument")
}

// A lineage is how many descendants a process is to have below it.
type lineage struct {
	Queue *shm.Queue[string]
	Left  int
}

var begetQueue *proc.Func[lineage, int]

func init() {
	begetQueue = proc.Register("beget with a queue", func(ctx context.Context, g lineage) (int, error) {
		if err := g.Queue.Put(ctx, fmt.Sprint(g.Left)); err != nil || g.Left == 0 {
			return 1, err
		}
		c, err := begetQueue.Start(ctx, lineage{g.Queue, g.Left - 1}, nil)
		if err != nil {
			return 0, err
		}
		n, err := c.Result(ctx)
		return n + 1, errors.Join(err, g.Queue.Put(ctx, fmt.Sprint("again ", g.Left)))
	})
}

// A child can send a queue on to its own children.
func TestQueuePassedOnToGrandchildren(t *testing.T) {
	proctest.NoLeaks(t)
	q := newQueue[string](t, 10, nil)
	require.Equal(t, 4, result(t, begetQueue, lineage{q, 3}))
	for _, want := range []string{"3", "2", "1", "0", "again 1", "again 2", "again 3"} {
		require.Equal(t, want, takeNow(t, q))
	}
}

var putTwice10 = proc.RegisterTask("put 10 to 19", func(ctx context.Context, q *shm.Queue[int]) error {
	for i := 10; i < 20; i++ {
		if err := q.Put(ctx, i); err != nil {
			return err
		}
	}
	return nil
})

// Python: _TestQueue.test_fork — differs: a process is started, not forked
func TestPythonQueueFork(t *testing.T) {
	proctest.NoLeaks(t)
	q := newQueue[int](t, 100, nil)
	for i := range 10 {
		require.NoError(t, q.Put(t.Context(), i))
	}
	p := start(t, putTwice10, q, nil)
	for i := range 20 {
		v, err := q.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
	_, err := q.TryGet()
	require.ErrorIs(t, err, shm.ErrEmpty)
	require.NoError(t, p.Join(t.Context()))
}

var tryQueue = proc.RegisterTask("try a queue", func(_ context.Context, q *shm.Queue[int]) error {
	_, err := q.TryGet()
	if errors.Is(err, shm.ErrEmpty) {
		return nil
	}
	return fmt.Errorf("it is not empty: %w", err)
})

var queueInProcess = proc.RegisterTask("queue in process", func(ctx context.Context, _ struct{}) error {
	q, err := shm.NewQueue[int](1, nil)
	if err != nil {
		return err
	}
	p, err := tryQueue.Start(ctx, q, nil)
	if err != nil {
		return err
	}
	return errors.Join(p.Join(ctx), q.Detach())
})

// Python: TestStdinBadfiledescriptor.test_queue_in_process
func TestPythonQueueInProcess(t *testing.T) {
	proctest.NoLeaks(t)
	require.NoError(t, start(t, queueInProcess, struct{}{}, nil).Join(t.Context()))
}

var putMegabyte = proc.RegisterTask("put a megabyte", func(ctx context.Context, q *shm.Queue[[]byte]) error {
	return q.Put(ctx, make([]byte, 1<<20))
})

// A child that has put something big can be joined before anybody gets it. In
// Python it never ends: its feeder thread waits for a reader.
func TestJoinBeforeGet(t *testing.T) {
	proctest.NoLeaks(t)
	q := newQueue[[]byte](t, 10, &shm.QueueOptions{Bytes: 4 << 20})
	require.NoError(t, start(t, putMegabyte, q, nil).Join(t.Context()))
	require.Len(t, takeNow(t, q), 1<<20)
}

type deadGrip struct {
	Queue *shm.Queue[int]
	Addr  string
}

var dieInGet = proc.RegisterTask("die in Get", func(ctx context.Context, g deadGrip) error {
	p, err := call(g.Addr)
	if err != nil {
		return err
	}
	return g.Queue.GetFunc(ctx, func(*int) error {
		_, err := p.converse("in Get")
		return err
	})
})

// A consumer that is killed inside Get leaves the item to the others. In Python
// all later gets wait for ever.
func TestConsumerKilledInsideGet(t *testing.T) {
	proctest.NoLeaks(t)
	q := newQueue[int](t, 10, nil)
	for i := range 5 {
		require.NoError(t, q.Put(t.Context(), i))
		x := newExchange(t)
		c := start(t, dieInGet, deadGrip{q, x.addr}, nil)
		x.answer(t).expect(t, "in Get")
		next := make(chan int, 1)
		go func() {
			v, _ := q.Get(context.Background())
			next <- v
		}()
		c.Kill()
		require.Equal(t, i, <-next)
		require.Equal(t, -9, exitCode(t, c.Process))
	}
}

// A process ends with its function, and with it its place as a producer: who
// waits for more is told.
var produceThree = proc.RegisterTask("produce three", func(ctx context.Context, q *shm.Queue[int]) error {
	if err := q.Register(ctx); err != nil {
		return err
	}
	_, err := q.PutAll(ctx, []int{1, 2, 3})
	return err
})

func TestProducerEndsWithItsProcess(t *testing.T) {
	proctest.NoLeaks(t)
	q := newQueue[int](t, 1, nil)
	c := start(t, produceThree, q, nil)
	var all []int
	for v, err := range q.All(t.Context()) {
		require.NoError(t, err)
		all = append(all, v)
	}
	require.Equal(t, []int{1, 2, 3}, all)
	require.NoError(t, c.Join(t.Context()))
}

// A queue is one of the things that Wait waits for, beside processes.
func TestWaitForQueueAndProcess(t *testing.T) {
	proctest.NoLeaks(t)
	q, never := newQueue[int](t, 10, nil), newQueue[string](t, 1, nil)
	c := start(t, produceThree, q, nil)
	left := 3
	for alive := true; left > 0 || alive; {
		sources := []proc.Source{never}
		if left > 0 {
			sources = append(sources, q)
		}
		if alive {
			sources = append(sources, c.Process)
		}
		ready, err := proc.Wait(t.Context(), sources...)
		require.NoError(t, err)
		for _, s := range ready {
			switch s {
			case proc.Source(q):
				takeNow(t, q)
				left--
			case proc.Source(c.Process):
				alive = false
			default:
				t.Fatalf("%v is ready", s)
			}
		}
	}
	require.NoError(t, c.Join(t.Context()))
}
