package proc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// newPool starts a pool, of two workers if nothing else is said. What is left
// of it at the end of the test is terminated.
func newPool(t testing.TB, o *proc.PoolOptions) *proc.Pool {
	t.Helper()
	if o == nil {
		o = &proc.PoolOptions{}
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	p, err := proc.NewPool(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Terminate()) })
	return p
}

// numbers returns 0 to n-1.
func numbers(n int) []int {
	in := make([]int, n)
	for i := range in {
		in[i] = i
	}
	return in
}

// squares returns the squares of numbers(n).
func squares(n int) []int {
	in := numbers(n)
	for i := range in {
		in[i] *= i
	}
	return in
}

// works checks that a pool does what pools do.
func works(t testing.TB, p *proc.Pool) {
	t.Helper()
	got, err := square.Map(t.Context(), p, numbers(10), &proc.MapOptions{Chunk: 1})
	require.NoError(t, err)
	require.Equal(t, squares(10), got)
}

// A cue is the argument of a task that does what the test tells it.
type cue struct {
	Addr string
	N    int
}

// puppet calls the test, says who it is, and does as it is told.
var puppet = proc.Register("puppet", func(ctx context.Context, c cue) (int, error) {
	p, err := call(c.Addr)
	if err != nil {
		return 0, err
	}
	line, err := p.converse(fmt.Sprintf("%d %d", c.N, os.Getpid()))
	if err != nil {
		return 0, err
	}
	switch line {
	case "return":
		return c.N * c.N, nil
	case "fail":
		return 0, &ownError{c.N}
	case "panic":
		panic("puppet")
	case "goexit":
		runtime.Goexit()
	case "exit":
		os.Exit(7)
	case "exit 0":
		os.Exit(0)
	case "kill":
		return 0, unix.Kill(os.Getpid(), unix.SIGKILL)
	case "obey":
		<-ctx.Done()
		if err := p.tell(context.Cause(ctx).Error()); err != nil {
			return 0, err
		}
		return 0, ctx.Err()
	case "finish": // asked to end, it comes to an end
		<-ctx.Done()
		return c.N * c.N, nil
	case "hang":
		<-make(chan int)
	}
	return 0, errors.New("what is " + line + "?")
})

// A player is a task of puppet that has begun.
type player struct {
	*phone
	n, pid int
}

// enter waits for the next task of puppet.
func (x *exchange) enter(t testing.TB) player {
	t.Helper()
	p := player{phone: x.answer(t)}
	scan(p.hear(t), "", &p.n, &p.pid)
	return p
}

// cues are arguments for n tasks of puppet.
func (x *exchange) cues(n int) (all []cue) {
	for i := range n {
		all = append(all, cue{x.addr, i})
	}
	return all
}

func TestPoolClose(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	require.Equal(t, 2, p.Workers())
	require.Equal(t, "pool of 2 workers (open, 0 calls)", p.String())
	works(t, p)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "twice")
	require.NoError(t, p.Terminate(), "afterwards")
	require.Equal(t, "pool of 2 workers (ended, 0 calls)", p.String())
	require.Empty(t, proc.Children())
}

// requireEnded checks that a pool refuses work.
func requireEnded(t testing.TB, p *proc.Pool, want error) {
	t.Helper()
	_, err := square.Map(t.Context(), p, []int{1}, nil)
	require.ErrorIs(t, err, want)
	require.ErrorIs(t, err, proc.ErrPoolClosed)
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = square.Submit(t.Context(), p, 1).Get(t.Context())
	require.ErrorIs(t, err, want)
	for _, err := range square.Stream(t.Context(), p, forever, nil) {
		require.ErrorIs(t, err, want)
	}
	n := 0
	for r := range square.MapUnordered(t.Context(), p, forever, nil) {
		require.Equal(t, -1, r.Index)
		require.ErrorIs(t, r.Err, want)
		n++
	}
	require.Equal(t, 1, n)
	require.ErrorIs(t, p.Resize(3), want)
	var a []float64
	require.ErrorIs(t, proc.For(t.Context(), p, 3, touch, a, nil), want)
}

// forever is an endless input.
func forever(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// touch does nothing with its part.
var touch = proc.RegisterTask("touch", func(context.Context, proc.Part[[]float64]) error { return nil })

func TestPoolUseAfterTheEnd(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	require.NoError(t, p.Close())
	requireEnded(t, p, proc.ErrPoolClosed)
	_, err := square.Map(t.Context(), p, []int{1}, nil)
	require.NotErrorIs(t, err, proc.ErrPoolTerminated)

	p = newPool(t, nil)
	require.NoError(t, p.Terminate())
	requireEnded(t, p, proc.ErrPoolTerminated)
}

// Close waits for what was begun, and refuses what comes later.
func TestPoolCloseFinishesWork(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	var futures []*proc.Future[int]
	for _, c := range x.cues(3) {
		futures = append(futures, puppet.Submit(t.Context(), p, c))
	}
	first := x.enter(t)
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	require.Eventually(t, func() bool { return p.String() == "pool of 1 workers (closed, 3 calls)" }, patience, time.Millisecond)
	_, err := square.Submit(t.Context(), p, 1).Get(t.Context())
	require.ErrorIs(t, err, proc.ErrPoolClosed)
	require.ErrorIs(t, p.Resize(2), proc.ErrPoolClosed)
	select {
	case err := <-closed:
		require.Fail(t, "closed with work under way", err)
	default:
	}
	first.say(t, "return")
	for range 2 {
		x.enter(t).say(t, "return")
	}
	require.NoError(t, <-closed)
	for i, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, i*i, got)
	}
}

// In CPython, a result that is waited for when the pool is terminated never
// comes.
func TestGetAfterTerminate(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	finished := puppet.Submit(t.Context(), p, cue{x.addr, 6})
	x.enter(t).say(t, "return")
	<-finished.Done()
	running := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	x.enter(t).say(t, "obey")
	waiting := puppet.Submit(t.Context(), p, cue{x.addr, 2})
	got := make(chan error)
	go func() {
		_, err := running.Get(t.Context())
		got <- err
	}()
	require.NoError(t, p.Terminate())
	require.ErrorIs(t, <-got, proc.ErrPoolTerminated)
	_, err := waiting.Get(t.Context())
	require.ErrorIs(t, err, proc.ErrPoolTerminated)
	n, err := finished.Get(t.Context())
	require.NoError(t, err, "its result was there")
	require.Equal(t, 36, n)
}

// The futures do not wait for workers that take their time to end.
func TestTerminateEndsFuturesAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: time.Hour})
	f := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	player := x.enter(t)
	ended := make(chan error)
	go func() { ended <- p.Terminate() }()
	_, err := f.Get(t.Context()) // the task waits for the test
	require.ErrorIs(t, err, proc.ErrPoolTerminated)
	player.say(t, "obey")
	player.expect(t, "the process was asked to end")
	require.NoError(t, <-ended)
}

// A task that does not care is killed.
func TestTerminateKillsAfterGrace(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, &proc.PoolOptions{Grace: 20 * time.Millisecond})
	for _, how := range []string{"hang", "stop"} {
		puppet.Submit(t.Context(), p, cue{x.addr, 1})
		player := x.enter(t)
		if how == "stop" {
			require.NoError(t, unix.Kill(player.pid, unix.SIGSTOP))
			awaitStopped(t, player.pid)
		} else {
			player.say(t, how)
		}
	}
	require.NoError(t, p.Terminate())
	require.Empty(t, proc.Children())
}

func TestPoolEndsFromManySides(t *testing.T) {
	proctest.NoLeaks(t)
	for range 5 {
		p := newPool(t, &proc.PoolOptions{Grace: time.Hour})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				in := numbers(20)
				if got, err := square.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 1 + i%3}); err == nil {
					require.Equal(t, squares(20), got)
				} else {
					require.ErrorIs(t, err, proc.ErrPoolClosed)
				}
				if i%2 == 0 {
					_ = p.Terminate()
				} else {
					_ = p.Close()
				}
			})
		}
		all.Wait()
		require.Empty(t, proc.Children())
	}
}

func TestPoolContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1})
	require.NoError(t, err)
	f := puppet.Submit(t.Context(), p, cue{x.addr, 1})
	x.enter(t).say(t, "obey")
	why := errors.New("enough")
	cancel(why)
	_, err = f.Get(t.Context())
	require.ErrorIs(t, err, proc.ErrPoolTerminated)
	require.ErrorIs(t, err, why)
	require.NoError(t, p.Close())
	requireEnded(t, p, why)

	_, err = proc.NewPool(ctx, nil)
	require.ErrorIs(t, err, why)
}

func TestPoolOptionsOutOfRange(t *testing.T) {
	proctest.NoLeaks(t)
	for what, o := range map[string]proc.PoolOptions{
		"workers": {Workers: -1}, "too many": {Workers: 501}, "retries": {Retries: -1}, "limit": {TaskTimeout: -1},
		"tasks": {MaxTasks: -1}, "memory": {MaxResident: -1}, "idle": {IdleTimeout: -1}, "least": {MinWorkers: -1},
		"unencodable": {Init: hold.With(newArray(t)), Exit: follow.With(cycle())},
	} {
		_, err := proc.NewPool(t.Context(), &o)
		require.ErrorContains(t, err, "proc: new pool: ", what)
	}
	p := newPool(t, nil)
	for what, o := range map[string]proc.MapOptions{
		"chunk": {Chunk: -1}, "large chunk": {Chunk: 4097}, "window": {Window: -1}, "retries": {Retries: -2}, "limit": {Timeout: -2},
	} {
		_, err := square.Map(t.Context(), p, []int{1}, &o)
		require.ErrorContains(t, err, "out of range", what)
	}
	require.ErrorContains(t, p.Resize(0), "0 workers: from 1 to 500 are possible")
	require.ErrorContains(t, p.Resize(501), "501 workers")
	var a []float64
	for _, o := range []proc.ForOptions{{Chunk: -1}, {Schedule: 3}} {
		require.ErrorContains(t, proc.For(t.Context(), p, 1, touch, a, &o), "out of range")
	}
	require.ErrorContains(t, proc.For(t.Context(), p, -1, touch, a, nil), "-1 elements")
	works(t, p)
}

func cycle() *ring {
	r := &ring{}
	r.Next = r
	return r
}

// The default is one worker for each processor, and options are not needed.
func TestPoolDefaults(t *testing.T) {
	proctest.NoLeaks(t)
	p, err := proc.NewPool(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, runtime.GOMAXPROCS(0), p.Workers())
	works(t, p)
	require.NoError(t, p.Close())
}

func TestPoolStatsAreJSON(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 3})
	awaitChildren(t, 3)
	works(t, p)
	s := p.Stats()
	var tasks uint64
	for _, w := range s.Workers {
		tasks += w.Tasks
	}
	require.EqualValues(t, 10, tasks)
	require.NotEmpty(t, s.Slowest)
	require.LessOrEqual(t, len(s.Slowest), 5)
	require.Equal(t, "square", s.Slowest[0].Func)
	require.Equal(t, itoa(s.Slowest[0].Index), s.Slowest[0].Input)
	require.NoError(t, p.Close())
	s = p.Stats()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var back proc.Stats
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, s, back)
	require.Contains(t, string(text), `"start_up_ns":`)
	require.Len(t, s.Workers, 3)
	for i, w := range s.Workers {
		require.Equal(t, i, w.Worker)
		require.Equal(t, 1, w.Processes)
		require.Zero(t, w.Deaths)
	}
	require.Contains(t, s.String(), "worker  processes  deaths  tasks")
	require.Contains(t, s.String(), "slowest 1: square, input ")
}
