//go:build stress && amd64

package shm

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

var pipeSteppings = []stepping{
	{name: "send", order: "send", ends: 300},
	{name: "first send", order: "send", first: true, ends: 60},
	{name: "send, the other end sleeps", order: "send", sleeps: "recv", ends: 300},
	{name: "send, full", order: "send", before: 2, wakes: true, ends: 40},
	{name: "recv", order: "recv", before: 1, ends: 300},
	{name: "recv, the other end sleeps", order: "recv", before: 2, sleeps: "send", ends: 300},
	{name: "recv, empty", order: "recv", wakes: true, ends: 40},
	{name: "close, the other end receives", order: "hang up", sleeps: "recv", ends: 100},
	{name: "close, the other end sends", order: "hang up", before: 2, sleeps: "send", ends: 100},
}

// A process is killed at each machine instruction of Send, Recv and Close of an
// end of a pipe. The other end gets exactly what was committed, and then the end.
func TestStressPipeKillAtEachInstruction(t *testing.T) {
	withoutLooks()
	c := &stepCount{killed: map[uintptr]bool{}}
	for _, st := range pipeSteppings {
		t.Run(st.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			control := stepControl(t)
			st.rounds(t, func(t *testing.T) *proctest.Proc { return nil }, func(t *testing.T, n int, _, _ *proctest.Proc) []uintptr {
				return c.pipeRound(t, st, control, n)
			})
		})
	}
	c.report(t, "Send, Recv and Close of a pipe, killed at each instruction")
}

func (c *stepCount) pipeRound(t *testing.T, st stepping, control *Array[atomic.Uint32], n int) []uintptr {
	ctx := t.Context()
	theirs, p, err := NewPipe[int64](&PipeOptions{Capacity: 2})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	victim := hand(t, stepVictim, stepStage{Pipe: theirs, Control: control})
	victim.Expect(t, "ok")
	require.NoError(t, theirs.Close())
	if !st.first {
		obeyStep(t, victim, "send")
		_, err := p.Recv(ctx)
		require.NoError(t, err)
		require.NoError(t, p.Send(ctx, 1))
		obeyStep(t, victim, "recv")
	}
	var want []int64
	for range st.before {
		if st.order == "send" {
			obeyStep(t, victim, "send")
			want = append(want, 10)
		} else {
			require.NoError(t, p.Send(ctx, 1))
		}
	}
	var waits <-chan result
	switch st.sleeps {
	case "recv":
		waits = asleep(&p.end.recv.words.items, func() (int64, error) { return p.Recv(ctx) })
	case "send":
		waits = asleep(&p.end.send.words.room, func() (int64, error) { return 0, p.Send(ctx, 20) })
	}
	in := p.end.words.ways[1-p.end.which].tail.Load
	tail := position(in()).items()
	path := c.killAt(t, st, victim, control.View(), n, func() {
		if st.order == "send" {
			_, err := p.Recv(ctx)
			require.NoError(t, err)
			want = want[1:]
		} else {
			require.NoError(t, p.Send(ctx, 8))
		}
	})
	if st.order == "send" && position(in()).items() != tail {
		want = append(want, 10)
	}
	if waits != nil {
		r := <-waits
		switch {
		case st.sleeps == "send":
			require.True(t, r.err == nil || errors.Is(r.err, ErrBroken), "%v", r.err)
		case len(want) > 0:
			require.Equal(t, result{want[0], nil}, r)
			want = want[1:]
		default:
			require.ErrorIs(t, r.err, io.EOF)
		}
	}
	for _, v := range want {
		item, err := p.Recv(ctx)
		require.NoError(t, err)
		require.Equal(t, v, item)
	}
	_, err = p.Recv(ctx)
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, p.Send(ctx, 1), ErrBroken)
	return path
}
