package roster

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// TestDeath ends a process in every way there is. Each must be seen, must wake
// who sleeps on the liveness word, and must let a fence end.
func TestDeath(t *testing.T) {
	tell := func(order string) func(*testing.T, *proctest.Proc) {
		return func(t *testing.T, p *proctest.Proc) { p.Tell(t, order) }
	}
	signal := func(sig unix.Signal) func(*testing.T, *proctest.Proc) {
		return func(t *testing.T, p *proctest.Proc) { require.NoError(t, p.Signal(sig)) }
	}
	for _, tt := range []struct {
		name    string
		end     func(*testing.T, *proctest.Proc)
		running bool // the process goes on as another program
	}{
		{"SIGKILL", signal(unix.SIGKILL), false},
		{"SIGTERM", signal(unix.SIGTERM), false},
		{"return from main", tell("return"), false},
		{"os.Exit", tell("exit"), false},
		{"exec of a program with one thread", tell("exec of a shell"), true},
		{"exec of a program that is hard to interrupt", tell("exec of a busy shell"), true},
		{"exec of a program with many threads", tell("exec of a Go program"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			_, path := newTable(t, 2)
			p, id := start(t, path)
			s := Look(id)
			require.True(t, s.Alive)
			require.False(t, s.Unwatched)
			require.Equal(t, p.Pid(), s.Pid)

			woken := watch(t, id)
			tt.end(t, p)
			await(t, "the sleeper on the liveness word", woken)
			require.Equal(t, Sight{Pid: p.Pid()}, Look(id))
			if tt.running {
				p.Expect(t, "still here")
			}
			fenced := make(chan struct{})
			go func() {
				defer close(fenced)
				require.NoError(t, Fence(t.Context(), id))
			}()
			await(t, "the fence", fenced)
		})
	}
}

// TestFenceTries asks about a process that is dead, but has threads that nobody has
// killed: a context that has ended makes the fence look once.
func TestFenceTries(t *testing.T) {
	_, path := newTable(t, 2)
	p := halfDead.Start(t, []*os.File{memfd(t, int64(unix.Getpagesize()))}, path)
	id := admitted(t, p)
	s := Look(id)
	p.Tell(t, "lose the keeper")
	until(t, func() bool { return s.Word.Load()&ownerDied != 0 })
	require.ErrorIs(t, Fence(ended(t), id), context.Canceled)
	p.Kill(t)
	require.NoError(t, Fence(ended(t), id))
}

func ended(t *testing.T) context.Context {
	ctx, end := context.WithCancel(t.Context())
	end()
	return ctx
}

// TestFenceKnowsPrograms asks about a process that has replaced its program: by the
// beginning of its stack this is known at once. Where that is not told, or happens
// to be the same, it takes a while.
func TestFenceKnowsPrograms(t *testing.T) {
	tab, path := newTable(t, 2)
	p, id := start(t, path)
	p.Tell(t, "exec of a shell")
	p.Expect(t, "still here")
	require.False(t, Look(id).Alive)
	require.NoError(t, Fence(ended(t), id))
	for _, stack := range []uint64{0, statOf(t, p.Pid()).stack} {
		tab.slots[id.index()].stack.Store(stack)
		require.ErrorIs(t, Fence(ended(t), id), context.Canceled)
		require.NoError(t, Fence(t.Context(), id))
	}
}

// TestFencesRemember asks about the same again and again, without ever waiting: the
// earlier looks count.
func TestFencesRemember(t *testing.T) {
	_, path := newTable(t, 2)
	p, id := start(t, path)
	p.Tell(t, "exec of a shell")
	p.Expect(t, "still here")
	var fences Fences
	until(t, func() bool { return fences.Passed(id) })
	p.Kill(t)
}

// TestPassOn has several sleepers on one liveness word. The kernel wakes one of
// them.
func TestPassOn(t *testing.T) {
	_, path := newTable(t, 1)
	p, id := start(t, path)
	s := Look(id)
	var sleepers []<-chan struct{}
	for range 5 {
		sleepers = append(sleepers, watch(t, id))
	}
	s.PassOn() // the process lives: nobody is woken
	p.Kill(t)
	s.PassOn()
	for _, woken := range sleepers {
		await(t, "a sleeper on the liveness word", woken)
	}
}

// TestSuccessor is there for the leak check, which wants each helper started;
// the members that turn into it are not seen.
func TestSuccessor(t *testing.T) { successor.Start(t, nil).Expect(t, "still here") }

func TestStoppedIsAlive(t *testing.T) {
	_, path := newTable(t, 1)
	p, id := start(t, path)
	before := Look(id)
	p.Stop(t)
	require.Equal(t, before, Look(id))
	require.True(t, before.Alive)
	p.Cont(t)
	p.Tell(t, "return")
	require.NoError(t, p.Wait(t))
	require.False(t, Look(id).Alive)
}

// TestFork reads the identity in a process that was forked without exec, as C
// code may do: it is nobody.
func TestFork(t *testing.T) {
	_, path := newTable(t, 1)
	p := forker.Start(t, nil, path)
	admitted(t, p)
	p.Expect(t, "the fork exits with 0")
}
