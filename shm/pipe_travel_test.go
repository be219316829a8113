package shm

import (
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// An end that is on its way is not gone, until nobody has it any more: then it
// is seen as soon as the message with it has gone.
func TestPipeEndOnItsWay(t *testing.T) {
	for name, seen := range map[string]func(*testing.T, ends, func()){
		"before": func(t *testing.T, own ends, lose func()) { lose() },
		"by who receives": func(t *testing.T, own ends, lose func()) {
			done := background(func() error { return errOf(own.Int.Recv(t.Context())) })
			awaitSleeper(t, itemsOf(own.Int))
			lose()
			require.Equal(t, io.EOF, outcome(t, done))
		},
		"by who sends": func(t *testing.T, own ends, lose func()) {
			for own.Int.TrySend(1) == nil {
			}
			done := background(func() error { return own.Int.Send(t.Context(), 1) })
			awaitSleeper(t, roomOf(own.Int))
			lose()
			require.ErrorIs(t, outcome(t, done), ErrBroken)
		},
	} {
		t.Run("lost, seen "+name, func(t *testing.T) {
			proctest.NoLeaks(t)
			own, theirs := testEnds(t)
			theirs.send(t, 1)
			m := sent(t, theirs)
			require.NoError(t, own.Int.TrySend(2), "it may still arrive")
			own.recv(t, 1)
			require.Equal(t, ErrEmpty, errOf(own.Int.TryRecv()))
			theirs.close(t)
			require.Equal(t, ErrEmpty, errOf(own.Int.TryRecv()), "the message has it")
			require.NoError(t, own.Int.TrySend(3))
			seen(t, own, m.Close)
			own.requireBroken(t)
			own.requireOver(t)
		})
	}
	t.Run("arrives", func(t *testing.T) {
		proctest.NoLeaks(t)
		own, theirs := testEnds(t)
		m := sent(t, theirs)
		theirs.close(t)
		own.send(t, 5)
		got := background(func() error { return errOf(own.Int.Recv(t.Context())) })
		awaitSleeper(t, itemsOf(own.Int))
		var arrived ends
		require.NoError(t, wire.Decode(m, reflect.ValueOf(&arrived).Elem()))
		m.Close()
		arrived.recv(t, 5)
		arrived.send(t, 6)
		require.NoError(t, outcome(t, got))
		arrived.close(t)
		own.requireBroken(t)
	})
}

// mayfly receives a message and dies with it.
var mayfly = proctest.Register("pipe mayfly", func(h *proctest.Helper) error {
	h.Say("here")
	_, err := h.Listen()
	return err
})

// The receiver is killed before it has looked at the message.
func TestPipeReceiverOfEndIsKilled(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testEnds(t)
	own.send(t, 1)
	theirs.send(t, 2)
	p := hand(t, mayfly, theirs)
	p.Expect(t, "here")
	theirs.close(t)
	own.send(t, 3)
	done := background(func() error { own.recv(t, 2); return errOf(own.Int.Recv(t.Context())) })
	awaitSleeper(t, itemsOf(own.Int))
	p.Kill(t)
	require.Equal(t, io.EOF, outcome(t, done))
	own.requireBroken(t)
	own.requireOver(t)
}

// The same, while the giver still has its own: as long as it does, the end is not
// lost.
func TestPipeGiverKeepsItsEnd(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testEnds(t)
	p := hand(t, mayfly, theirs)
	p.Expect(t, "here")
	p.Kill(t)
	require.Equal(t, ErrEmpty, errOf(own.Int.TryRecv()), "it may be sent anew")
	require.NoError(t, own.Int.TrySend(1))
	done := background(func() error { return errOf(own.Int.Recv(t.Context())) })
	awaitSleeper(t, itemsOf(own.Int))
	theirs.close(t)
	require.Equal(t, io.EOF, outcome(t, done))
	own.requireBroken(t)
	own.requireOver(t)
}

// An end that comes back is this process's again, whatever becomes of the object
// that was sent.
func TestPipeEndComesBack(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testEnds(t)
	theirs.send(t, 1)
	for v := range 3 {
		back := roundTrip(t, theirs)
		theirs.close(t)
		require.Equal(t, 1, mapped(t, "int"))
		own.send(t, v)
		back.recv(t, v)
		theirs = back
	}
	own.recv(t, 1)
	require.Equal(t, ErrEmpty, errOf(own.Int.TryRecv()))
	theirs.close(t)
	own.requireOver(t)
}

// Both ends are in one process, and both travel.
func TestPipeBothEndsTravel(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	require.NoError(t, a.TrySend(1))
	two := roundTrip(t, []*Pipe[int]{a, b})
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.NoError(t, two[0].TrySend(2))
	for want := 1; want <= 2; want++ {
		got, err := two[1].TryRecv()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, two[0].Close())
	requireOver(t, two[1])
	require.NoError(t, two[1].Close())
}

// When the process has died to which an end was given, the end may be given to
// another. That one goes on where the other has stopped.
func TestPipeDeadEndIsClaimedAnew(t *testing.T) {
	proctest.NoLeaks(t)
	own, theirs := testEnds(t)
	for v := range 3 {
		p := hand(t, partner, theirs)
		p.Expect(t, "ready")
		own.send(t, v)
		tell(t, p, fmt.Sprint("send ", v), "<nil>")
		tell(t, p, "recv", fmt.Sprintf("%d%d%d", v, v, v), "<nil>")
		own.recv(t, v)
		tell(t, p, fmt.Sprint("send ", v+10), "<nil>") // is left
		p.Kill(t)
		own.requireBroken(t)
		own.recv(t, v+10)
		own.requireOver(t)
	}
	p := hand(t, partner, theirs)
	p.Expect(t, "ready")
	got := background(func() error { own.recv(t, 5); return nil })
	awaitSleeper(t, itemsOf(own.Int))
	tell(t, p, "send 5", "<nil>")
	require.NoError(t, outcome(t, got))
	own.send(t, 6)
	tell(t, p, "recv", "666", "<nil>")
}

// An end of a pipe for other messages is refused. The other end learns of it,
// as nobody has that end then.
func TestPipeReceiveRefusesOtherTypes(t *testing.T) {
	proctest.NoLeaks(t)
	for name, receive := range map[string]func(*wire.Message) error{
		"unsigned": received[Pipe[uint]],
		"text":     received[Pipe[string]],
		"bytes":    received[BytePipe],
		"queue":    received[Queue[int]],
		"array":    received[Array[int]],
	} {
		t.Run(name, func(t *testing.T) {
			a, b := testPipe[int](t, nil)
			m := sent(t, b)
			require.NoError(t, b.Close())
			require.Error(t, receive(m))
			require.Equal(t, ErrEmpty, errOf(a.TryRecv()), "the message is still there")
			m.Close()
			requireOver(t, a)
		})
	}
	require.Empty(t, mappings.byKey)
}

func TestPipeOnlyInMessages(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	x, _ := testBytePipe(t, nil)
	require.ErrorIs(t, errOf(a.MarshalCBOR()), wire.ErrNoMessage)
	require.ErrorIs(t, errOf(x.MarshalCBOR()), wire.ErrNoMessage)
	for _, data := range [][]byte{{0x83, 0x85, 0, 0, 0, 0, 0xf4, 0, 0}, {0x83, 0x85, 0, 0, 0, 0, 0xf4, 0, 2}, {0xf6}, {}} {
		require.Error(t, new(Pipe[int]).UnmarshalCBOR(data))
		require.Error(t, new(BytePipe).UnmarshalCBOR(data))
	}
	require.ErrorContains(t, wire.Check(reflect.TypeFor[struct{ P Pipe[int] }]()), "use *shm.Pipe[int]")
	require.ErrorContains(t, wire.Check(reflect.TypeFor[struct{ P BytePipe }]()), "use *shm.BytePipe")

	// What fails does not take an end away.
	require.NoError(t, b.TrySend(1))
	closed, _ := testPipe[int](t, nil)
	require.NoError(t, closed.Close())
	require.ErrorIs(t, errOf(wire.Encode(reflect.ValueOf([]*Pipe[int]{a, closed}))), ErrClosed)
	got, err := a.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 1, got)
	require.NoError(t, a.TrySend(2))
	require.NoError(t, b.TrySend(3))
	require.NoError(t, a.Close())
	requireBroken(t, b, 1)
	require.NoError(t, errOf(b.TryRecv()))
	requireOver(t, b)
}

// TestBytePipeZero uses an end that did not arrive: it is as if closed.
func TestBytePipeZero(t *testing.T) {
	var p BytePipe
	require.ErrorIs(t, p.SendBytes(t.Context(), nil), ErrClosed)
	_, err := p.RecvBytes(t.Context(), 1)
	require.ErrorIs(t, err, ErrClosed)
	_, err = p.Write([]byte("x"))
	require.ErrorIs(t, err, ErrClosed)
	_, err = p.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, p.Close(), ErrClosed)
	require.Equal(t, "shm.BytePipe(closed)", p.String())
}
