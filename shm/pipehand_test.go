package shm

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A rotten value cannot be decoded. One that is bad not even be encoded.
type rotten struct{ bad bool }

var errRotten = errors.New("rotten")

func (r rotten) MarshalBinary() ([]byte, error) {
	if r.bad {
		return nil, errRotten
	}
	return nil, nil
}

func (r *rotten) UnmarshalBinary([]byte) error { return errRotten }

// spoiled has a rotten value behind an object.
type spoiled[T any] struct {
	Object T
	Rotten rotten
}

// requireHere tests that this process has the end as if it had never been sent:
// the other end's waits are not bounded by the interval of asking, both
// directions work, and closing the end is told at once.
func requireHere(t *testing.T, a, b *Pipe[int]) {
	t.Helper()
	me := uint64(roster.Me())
	require.Equal(t, me, a.end.otherState(), "nobody need ask whether it has arrived")
	require.True(t, a.end.recv.watch(watchNothing{}))
	require.NoError(t, b.Send(t.Context(), 1))
	require.NoError(t, a.Send(t.Context(), 2))
	v, err := a.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 1, v)
	v, err = b.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 2, v)
	over := background(func() error { return errOf(a.Recv(t.Context())) })
	awaitSleeper(t, itemsOf(a))
	require.NoError(t, b.Close())
	require.Equal(t, me|endClosed, a.end.otherState())
	require.Equal(t, io.EOF, outcome(t, over))
	requireOver(t, a)
}

type watchNothing struct{}

func (watchNothing) Watch(*atomic.Uint32, uint32) bool { return true }
func (watchNothing) WatchLife(roster.Sight) bool       { return true }

// An end whose message is not sent is taken back.
func TestPipeEndIsTakenBack(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, end *Pipe[int]){
		"a later field cannot be encoded": func(t *testing.T, end *Pipe[int]) {
			_, err := wire.Encode(reflect.ValueOf(spoiled[*Pipe[int]]{Object: end, Rotten: rotten{bad: true}}))
			require.ErrorIs(t, err, errRotten)
		},
		"it is thrown away": func(t *testing.T, end *Pipe[int]) { sent(t, end).Close() },
		"two messages": func(t *testing.T, end *Pipe[int]) {
			first, second := sent(t, end), sent(t, end)
			first.Close()
			require.Equal(t, uint64(roster.Me())|endTransit, end.end.words.ends[1].state.Load(), "the second may still be sent")
			second.Close()
		},
		"the receiver is gone": func(t *testing.T, end *Pipe[int]) {
			c, theirs, err := wire.Pair()
			require.NoError(t, err)
			require.NoError(t, theirs.Close())
			m := sent(t, end)
			require.ErrorIs(t, wire.Send(c, 1, m), unix.EPIPE)
			m.Close()
			require.NoError(t, c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			a, b := testPipe[int](t, nil)
			fail(t, b)
			requireHere(t, a, b)
		})
	}
}

// It is not taken back if another message with it has gone out, nor if it was
// closed here meanwhile: then nobody has it when the message is thrown away.
func TestPipeEndIsNotTakenBack(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	transit := uint64(roster.Me()) | endTransit
	c, theirs, err := wire.Pair()
	require.NoError(t, err)
	good := sent(t, b)
	require.NoError(t, wire.Send(c, 1, good))
	good.Close()
	sent(t, b).Close()
	require.Equal(t, transit, a.end.otherState(), "the first message may arrive")

	m := sent(t, b)
	require.NoError(t, b.Close())
	require.NoError(t, c.Close())
	require.NoError(t, theirs.Close())
	require.Equal(t, ErrEmpty, errOf(a.TryRecv()), "the second message has it")
	m.Close()
	require.Equal(t, transit, a.end.otherState())
	requireOver(t, a)

	// One that has arrived stays where it is.
	a, b = testPipe[int](t, nil)
	m = sent(t, b)
	var got *Pipe[int]
	require.NoError(t, wire.Decode(m, reflect.ValueOf(&got).Elem()))
	m.Close()
	require.NoError(t, b.Close())
	require.NoError(t, a.Send(t.Context(), 1))
	v, err := got.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.NoError(t, got.Close())
	requireOver(t, a)
}

// An end that was sent twice has one receiver.
func TestPipeEndArrivesOnce(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testEnds(t)
	p := hand(t, partner, theirs)
	first := sent(t, theirs)
	p.Expect(t, "ready")
	var second ends
	require.ErrorIs(t, wire.Decode(first, reflect.ValueOf(&second).Elem()), ErrClosed)
	require.Zero(t, second)
	theirs.close(t)
	own.send(t, 3)
	tell(t, p, "recv", "333", "<nil>")
	p.Kill(t)
	own.requireOver(t)
}

// What was opened for a message that turns out to be bad is closed.
func TestReceiveFailsFurtherOn(t *testing.T) {
	proctest.NoLeaks(t)
	type all struct {
		Queue   *Queue[int]
		Array   *Array[int32]
		Value   *Value[int32]
		Segment *Segment
		Pipe    *Pipe[string]
		Bytes   *BytePipe
	}
	q := testQueue[int](t, 4, nil)
	a, b := testPipe[string](t, nil)
	x, y := testBytePipe(t, nil)
	m := sent(t, spoiled[all]{Object: all{q, testArray[int32](t, nil, 1), testValue[int32](t, 1, nil), testSegment(t, 10), b, y}})
	require.NoError(t, b.Close())
	require.NoError(t, y.Close())
	refs := func() (n []int) {
		for _, key := range slices.SortedFunc(maps.Keys(mappings.byKey), func(a, b mappingKey) int { return cmp.Compare(a.inode, b.inode) }) {
			n = append(n, mappings.byKey[key].refs)
		}
		return n
	}
	before := refs()
	var got spoiled[all]
	require.ErrorIs(t, wire.Decode(m, reflect.ValueOf(&got).Elem()), errRotten)
	require.Zero(t, got)
	require.Equal(t, before, refs())
	require.EqualValues(t, 1, q.ring.members.me.handles)
	requireOver(t, a)
	require.Equal(t, io.EOF, errOf(x.RecvBytes(t.Context(), 1)))
	require.NoError(t, q.TryPut(1))
}
