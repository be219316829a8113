//go:build stress && amd64

package shm

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A stepStage is what a process that is stepped through has. Of a pipe the test
// has the other end.
type stepStage struct {
	Queue   *Queue[int64]
	Pipe    *Pipe[int64]
	Control *Array[atomic.Uint32]
}

// The controls.
const (
	stepGo   = iota // the victim has been seized
	stepDone        // the operation has returned
)

// stepVictim does with a queue or an end of a pipe what it is told, and can be
// stepped through.
var stepVictim = proctest.Register("stepped through", func(h *proctest.Helper) error {
	withoutLooks()
	s, err := take[stepStage](h)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var obey func()
	obey = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() { // the first thread cannot be seized
			go obey()
			select {}
		}
		failed <- s.obey(h)
	}
	go obey()
	return <-failed
})

func (s *stepStage) obey(h *proctest.Helper) error {
	ctx, control := context.Background(), s.Control.View()
	do := map[string]func() error{
		"put":     func() error { return s.Queue.Put(ctx, 10) },
		"get":     func() error { _, err := s.Queue.Get(ctx); return err },
		"close":   func() error { return s.Queue.Close() },
		"send":    func() error { return s.Pipe.Send(ctx, 10) },
		"recv":    func() error { _, err := s.Pipe.Recv(ctx); return err },
		"hang up": func() error { return s.Pipe.Close() },
	}
	for range 10 {
		ringBudget.Until(func() bool { return false }) // it learns that looking is in vain
	}
	h.Say("ok")
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		order, step := strings.CutPrefix(order, "step ")
		if !step {
			if err := do[order](); err != nil {
				return err
			}
			h.Say("ok")
			continue
		}
		f := do[order]
		growStack(1000)
		h.Say(strconv.Itoa(unix.Gettid()))
		for control[stepGo].Load() == 0 {
			runtime.Gosched() // the last one begins a new time slice
		}
		proctest.MarkStep()
		_ = f()
		control[stepDone].Store(1)
		select {} // until it is killed
	}
}

// growStack makes room for whatever comes, so that stepping does not go through
// the runtime's making it.
func growStack(depth int) {
	if depth > 0 {
		growStack(depth - 1)
	}
}

// A stepping is one situation that an operation is stepped through in.
type stepping struct {
	name   string
	order  string
	before int    // how many items are there
	sleeps string // what somebody else sleeps in: get, put, recv, send
	first  bool   // nothing has gone through the pipe before
	wakes  bool   // the victim sleeps, and is woken by another
	ends   int    // so many instructions at the beginning and at the end; of the others a sample of those of ours that are first reached
}

var steppings = []stepping{
	{name: "put", order: "put", ends: 400},
	{name: "put, a consumer sleeps", order: "put", sleeps: "get", ends: 400},
	{name: "put, full", order: "put", before: 2, wakes: true, ends: 40},
	{name: "get", order: "get", before: 1, ends: 400},
	{name: "get, a producer sleeps", order: "get", before: 2, sleeps: "put", ends: 400},
	{name: "get, empty", order: "get", wakes: true, ends: 40},
	{name: "close, a consumer sleeps", order: "close", sleeps: "get", ends: 200},
	{name: "close, a producer sleeps", order: "close", before: 2, sleeps: "put", ends: 200},
}

// A stepCount counts kills and where they were.
type stepCount struct {
	kills  int
	killed map[uintptr]bool
}

func (c *stepCount) report(t *testing.T, name string) {
	proctest.Verified(t, "stress", name, "%d kills at %d distinct instructions", c.kills, len(c.killed))
}

// killAt steps a victim so many instructions into its order, and kills it there.
// It returns the instructions.
func (c *stepCount) killAt(t *testing.T, st stepping, victim *proctest.Proc, control []atomic.Uint32, n int, wake func()) (path []uintptr) {
	victim.Tell(t, "step "+st.order)
	tid, err := strconv.Atoi(victim.Line(t))
	require.NoError(t, err)
	s := victim.Seize(t, tid, func() { control[stepGo].Store(1) })
	asleep := false
	for len(path) < n && control[stepDone].Load() == 0 {
		path = append(path, s.PC())
		switch call, ok := s.Call(t); {
		case asleep:
			wake()
			s.End(t)
			asleep = false
		case ok && call.Number == unix.SYS_FUTEX_WAITV && st.wakes:
			s.Begin(t)
			s.AwaitSleep(t)
			asleep = true
		default:
			s.Step(t)
		}
	}
	c.kills++
	c.killed[s.PC()] = true
	s.Kill(t)
	control[stepGo].Store(0)
	control[stepDone].Store(0)
	return path
}

// choose returns after how many instructions of a passage to kill.
func (st stepping) choose(path []uintptr) (ends []int) {
	const (
		more   = 2 // behind the last, and asleep
		sample = 40
	)
	var middle []int
	first := map[uintptr]bool{}
	for n, pc := range path {
		ours := !first[pc] && strings.HasPrefix(functionAt(pc), "github.com/go-multiproc/")
		first[pc] = true
		if n < st.ends || n >= len(path)-st.ends {
			ends = append(ends, n)
		} else if ours {
			middle = append(middle, n)
		}
	}
	for i := range min(sample, len(middle)) {
		ends = append(ends, middle[i*len(middle)/min(sample, len(middle))])
	}
	for n := range more {
		ends = append(ends, len(path)+n)
	}
	return ends
}

func functionAt(pc uintptr) string {
	if f := runtime.FuncForPC(pc); f != nil {
		return f.Name()
	}
	return "" // in the vDSO
}

// rounds calls round with each number of instructions, and with the next victim.
func (st stepping) rounds(t *testing.T, start func(*testing.T) *proctest.Proc, round func(t *testing.T, n int, victim, newcomer *proctest.Proc) []uintptr) {
	var path []uintptr
	t.Run("the whole way", func(t *testing.T) {
		path = round(t, 1<<30, start(t), start(t))
	})
	// Clean-ups of helpers run when their part of the rounds is over.
	for part := range slices.Chunk(proctest.Sample(t, st.choose(path)), 100) {
		passed := t.Run(fmt.Sprintf("%d rounds", len(part)), func(t *testing.T) {
			victim := start(t)
			for _, n := range part {
				newcomer := start(t) // the next victim
				round(t, n, victim, newcomer)
				victim = newcomer
			}
		})
		if !passed {
			return
		}
	}
	t.Logf("%d instructions on the way", len(path))
}

func stepControl(t *testing.T) *Array[atomic.Uint32] {
	control, err := NewArray[atomic.Uint32](2, &Options{NoLock: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, control.Close()) })
	return control
}

// A process is killed at each machine instruction of Put, Get and Close, in an
// ordinary build. Nobody looks on his own account. Exactly what was committed is
// there; who slept and newcomers go on.
func TestStressQueueKillAtEachInstruction(t *testing.T) {
	withoutLooks()
	c := &stepCount{killed: map[uintptr]bool{}}
	for _, st := range steppings {
		t.Run(st.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			control := stepControl(t)
			var q *Queue[int64]
			open := func(t *testing.T) {
				var err error
				q, err = NewQueue[int64](2, nil)
				require.NoError(t, err)
			}
			open(t)
			defer func() { require.NoError(t, q.Detach()) }()
			start := func(t *testing.T) *proctest.Proc {
				p := hand(t, stepVictim, stepStage{Queue: q, Control: control})
				p.Expect(t, "ok")
				return p
			}
			if st.order == "close" { // a queue for each round
				st.rounds(t, func(t *testing.T) *proctest.Proc {
					return nil
				}, func(t *testing.T, n int, _, _ *proctest.Proc) []uintptr {
					require.NoError(t, q.Detach())
					open(t)
					return c.closeRound(t, st, q, control.View(), n, start(t))
				})
				return
			}
			st.rounds(t, start, func(t *testing.T, n int, victim, newcomer *proctest.Proc) []uintptr {
				return c.queueRound(t, st, q, control.View(), n, victim, newcomer)
			})
		})
	}
	c.report(t, "Put, Get and Close, killed at each instruction")
}

type result struct {
	item int64
	err  error
}

// asleep does an operation in a goroutine, and returns when it has announced that
// it sleeps.
func asleep(e *event, do func() (int64, error)) <-chan result {
	e.word.And(^uint32(eventSleeper))
	c := make(chan result, 1)
	go func() {
		item, err := do()
		c <- result{item, err}
	}()
	awaitFlag(e)
	return c
}

func (c *stepCount) queueRound(t *testing.T, st stepping, q *Queue[int64], control []atomic.Uint32, n int, victim, newcomer *proctest.Proc) []uintptr {
	ctx, words := t.Context(), q.ring.words
	var want []int64
	for i := range st.before {
		require.NoError(t, q.TryPut(int64(i)))
		want = append(want, int64(i))
	}
	var waits <-chan result
	switch st.sleeps {
	case "get":
		waits = asleep(q.ring.items.event, func() (int64, error) { return q.Get(ctx) })
	case "put":
		waits = asleep(q.ring.room.event, func() (int64, error) { return 0, q.Put(ctx, 20) })
	}
	tail, head := position(words.tail.Load()).items(), position(words.head.Load()).items()
	path := c.killAt(t, st, victim, control, n, func() {
		if st.order == "put" {
			_, err := q.Get(ctx)
			require.NoError(t, err)
			want = want[1:]
			head++
		} else {
			require.NoError(t, q.Put(ctx, 8))
			want = append(want, 8)
			tail++
		}
	})
	switch { // what it had committed is so
	case st.order == "put" && waits != nil: // one who may have got it
		if position(words.tail.Load()).items() != tail {
			require.Equal(t, result{10, nil}, <-waits, "by the death alone")
			break
		}
		require.NoError(t, q.Put(ctx, 9))
		require.Equal(t, result{9, nil}, <-waits)
	case st.order == "put" && position(words.tail.Load()).items() != tail:
		want = append(want, 10)
	case st.order == "get" && position(words.head.Load()).items() != head:
		want = want[1:]
		if waits != nil {
			require.Equal(t, result{}, <-waits, "by the death alone")
			want = append(want, 20)
		}
	case st.order == "get" && waits != nil:
		item, err := q.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, want[0], item)
		require.Equal(t, result{}, <-waits)
		want = append(want[1:], 20)
	}
	for _, v := range want {
		item, err := q.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, v, item)
	}
	_, err := q.TryGet()
	require.ErrorIs(t, err, ErrEmpty)
	obeyStep(t, newcomer, "put", "put")
	item, err := q.Get(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 10, item)
	obeyStep(t, newcomer, "get")
	return path
}

func obeyStep(t *testing.T, p *proctest.Proc, orders ...string) {
	t.Helper()
	for _, o := range orders {
		p.Tell(t, o)
		p.Expect(t, "ok")
	}
}

// closeRound is a round of Close: either it has not begun, or all see it.
func (c *stepCount) closeRound(t *testing.T, st stepping, q *Queue[int64], control []atomic.Uint32, n int, victim *proctest.Proc) []uintptr {
	ctx := t.Context()
	for i := range st.before {
		require.NoError(t, q.TryPut(int64(i)))
	}
	var waits <-chan result
	if st.sleeps == "get" {
		waits = asleep(q.ring.items.event, func() (int64, error) { return q.Get(ctx) })
	} else {
		waits = asleep(q.ring.room.event, func() (int64, error) { return 0, q.Put(ctx, 20) })
	}
	path := c.killAt(t, st, victim, control, n, nil)
	if q.ring.words.items.closing() {
		require.ErrorIs(t, (<-waits).err, ErrClosed, "by the death alone")
		require.ErrorIs(t, q.Put(ctx, 1), ErrClosed)
	} else {
		require.NoError(t, q.Close())
		require.ErrorIs(t, (<-waits).err, ErrClosed)
	}
	for range st.before {
		_, err := q.Get(ctx)
		require.NoError(t, err)
	}
	_, err := q.Get(ctx)
	require.ErrorIs(t, err, ErrClosed)
	return path
}
