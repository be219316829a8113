package shm

import (
	"bytes"
	"context"
	"io"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A lateStage is what a process has that is dead for all others, but whose last
// threads still run: the moment before SIGKILL reaches them, made long.
type lateStage struct {
	Pipe  *Pipe[int]
	Queue *Queue[int]
}

var late = proctest.Register("late", func(h *proctest.Helper) error {
	s, err := take[lateStage](h)
	if err != nil {
		return err
	}
	go roster.OnKeeper(func() {
		// Through Syscall, so that the scheduler takes this thread for one that
		// sleeps in the kernel.
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	})
	ctx := context.Background()
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		switch order {
		case "send":
			err = s.Pipe.Send(ctx, 1)
		case "get":
			_, err = s.Queue.Get(ctx)
		}
		if err != nil {
			return err
		}
		h.Say("ok")
	}
})

// startLate starts a late process. It is dead for all others when this returns.
func startLate(t *testing.T, s lateStage, id func() roster.ID) *proctest.Proc {
	p := hand(t, late, s)
	for begin := time.Now(); id() == 0 || id() == roster.Me() || roster.Look(id()).Alive; <-time.After(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("it does not lose its keeper")
		}
	}
	return p
}

// The end of the messages comes only when no thread of the process that sent them
// can send another one.
func TestPipeEndWaitsForLateThreads(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testPipe[int](t, nil)
	p := startLate(t, lateStage{Pipe: theirs}, func() roster.ID { return roster.ID(own.end.otherState() & roster.Mask) })
	require.NoError(t, theirs.Close())
	require.Equal(t, ErrEmpty, errOf(own.TryRecv()), "it may still send")
	obey(t, p, "ok", "send")
	p.Kill(t)
	v, err := own.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.Equal(t, io.EOF, errOf(own.Recv(t.Context())))
}

// An end whose process is dead is given anew only when no thread of that can send
// any more. A process that lives on for a second without its keeper is taken for
// another program, so a round that took long may say nothing.
func TestPipeEndGivenAnewWaitsForLateThreads(t *testing.T) {
	proctest.NoLeaks(t)
	inTime(t, func() bool { return slices.Equal(givenAnew(t), []int{1, 2}) })
}

// inTime wants a round to be good. One that was not and took long is repeated.
func inTime(t *testing.T, round func() bool) {
	t.Helper()
	for range 5 {
		begin := time.Now()
		if round() {
			return
		}
		require.Greater(t, time.Since(begin), time.Second/2, "it was quick, and not good")
	}
	t.Fatal("no round was good")
}

// awaitFence returns when something in the background waits for the threads of a
// dead process, or is over.
func awaitFence[R any](t *testing.T, done <-chan R) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	eventually(t, "it waits", func() bool {
		return len(done) > 0 || bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("roster.fence("))
	})
}

// givenAnew has a late thread send 1 when the end is being given to another, who
// sends 2. It returns what arrives.
func givenAnew(t *testing.T) (got []int) {
	own, theirs := testPipe[int](t, nil)
	p := startLate(t, lateStage{Pipe: theirs}, func() roster.ID { return roster.ID(own.end.otherState() & roster.Mask) })
	var next *Pipe[int]
	given := background(func() error {
		m, err := wire.Encode(reflect.ValueOf(theirs))
		if err != nil {
			return err
		}
		defer m.Close()
		return wire.Decode(m, reflect.ValueOf(&next).Elem())
	})
	awaitFence(t, given)
	obey(t, p, "ok", "send")
	p.Kill(t)
	if outcome(t, given) != nil {
		return nil
	}
	defer func() { require.NoError(t, next.Close()) }()
	require.NoError(t, next.Send(t.Context(), 2))
	for v, err := own.TryRecv(); err == nil; v, err = own.TryRecv() {
		got = append(got, v)
	}
	return got
}

// A process that comes does not take the entry of a dead one for itself as long as
// a thread of that can count something there.
func TestQueueMemberWaitsForLateThreads(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 3, &QueueOptions{Tasks: true})
	putNow(t, q, 1)
	entry := &q.ring.members.entries[1]
	p := startLate(t, lateStage{Queue: q}, func() roster.ID { return ownerOf(entry) })
	newcomer := hand(t, queuePuppet, q)
	tellPuppet(t, newcomer, "register", "ok")
	obey(t, p, "ok", "get")
	p.Kill(t)
	require.NoError(t, q.Join(t.Context()), "the dead one's task is not the newcomer's")

	// Now it may be taken.
	other := hand(t, queuePuppet, q)
	tellPuppet(t, other, "register", "ok")
	require.True(t, roster.Look(ownerOf(entry)).Alive)
}
