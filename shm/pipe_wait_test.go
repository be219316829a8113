package shm

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// waits are the ways to wait for a message or for room at an end, and what ends
// that.
var waits = map[string]struct {
	wait  func(ctx context.Context, p *Pipe[int]) error
	event func(p *Pipe[int]) *event
	fill  bool // it is to wait for room
	serve func(peer *Pipe[int]) error
}{
	"Recv":     {func(ctx context.Context, p *Pipe[int]) error { _, err := p.Recv(ctx); return err }, itemsOf, false, sendOne},
	"RecvUpTo": {func(ctx context.Context, p *Pipe[int]) error { _, err := p.RecvUpTo(ctx, make([]int, 2)); return err }, itemsOf, false, sendOne},
	"RecvFunc": {func(ctx context.Context, p *Pipe[int]) error { return p.RecvFunc(ctx, func(*int) error { return nil }) }, itemsOf, false, sendOne},
	"Poll":     {func(ctx context.Context, p *Pipe[int]) error { return p.Poll(ctx) }, itemsOf, false, sendOne},
	"Send":     {func(ctx context.Context, p *Pipe[int]) error { return p.Send(ctx, 1) }, roomOf, true, recvOne},
	"SendAll":  {func(ctx context.Context, p *Pipe[int]) error { _, err := p.SendAll(ctx, []int{1}); return err }, roomOf, true, recvOne},
	"SendFunc": {func(ctx context.Context, p *Pipe[int]) error { return p.SendFunc(ctx, func(*int) error { return nil }) }, roomOf, true, recvOne},
}

func itemsOf(p *Pipe[int]) *event   { return &p.end.recv.words.items }
func roomOf(p *Pipe[int]) *event    { return &p.end.send.words.room }
func sendOne(peer *Pipe[int]) error { return peer.TrySend(1) }
func recvOne(peer *Pipe[int]) error { _, err := peer.TryRecv(); return err }

// waiting makes a pipe whose first end cannot go on.
func waiting(t *testing.T, fill bool) (a, b *Pipe[int]) {
	a, b = testPipe[int](t, &PipeOptions{Capacity: 2})
	if fill {
		for range 2 {
			require.NoError(t, a.TrySend(0))
		}
	}
	return a, b
}

func TestPipeWaits(t *testing.T) {
	for name, tt := range waits {
		t.Run(name, func(t *testing.T) {
			t.Run("is served", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := waiting(t, tt.fill)
				done := background(func() error { return tt.wait(t.Context(), a) })
				awaitSleeper(t, tt.event(a))
				require.NoError(t, tt.serve(b))
				require.NoError(t, outcome(t, done))
			})
			t.Run("the other end is closed", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := waiting(t, tt.fill)
				done := background(func() error { return tt.wait(t.Context(), a) })
				awaitSleeper(t, tt.event(a))
				require.NoError(t, b.Close())
				switch err := outcome(t, done); {
				case tt.fill:
					require.ErrorIs(t, err, ErrBroken)
				case name == "Poll":
					require.NoError(t, err)
				default:
					require.Equal(t, io.EOF, err)
				}
			})
			t.Run("the end itself is closed", func(t *testing.T) {
				proctest.NoLeaks(t)
				keepEvent(t)
				a, b := waiting(t, tt.fill)
				done := background(func() error { return tt.wait(t.Context(), a) })
				awaitSleeper(t, tt.event(a))
				require.NoError(t, a.Close())
				if err := outcome(t, done); name == "Poll" {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, ErrClosed)
				}
				require.ErrorIs(t, b.TrySend(1), ErrBroken)
			})
			t.Run("cancelled", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := waiting(t, tt.fill)
				ctx, cancel := context.WithCancel(t.Context())
				done := background(func() error { return tt.wait(ctx, a) })
				awaitSleeper(t, tt.event(a))
				cancel()
				require.Equal(t, context.Canceled, outcome(t, done))

				// Nothing has changed by that.
				done = background(func() error { return tt.wait(t.Context(), a) })
				require.NoError(t, tt.serve(b))
				require.NoError(t, outcome(t, done))
			})
			t.Run("the deadline comes", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, _ := waiting(t, tt.fill)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
				defer cancel()
				require.Equal(t, context.DeadlineExceeded, tt.wait(ctx, a))
			})
			t.Run("an ended context only tries", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := waiting(t, tt.fill)
				require.Equal(t, context.Canceled, tt.wait(overCtx(t), a))
				require.NoError(t, tt.serve(b))
				require.NoError(t, tt.wait(overCtx(t), a))
				require.NoError(t, b.Close())
				if err := tt.wait(overCtx(t), a); tt.fill {
					require.ErrorIs(t, err, ErrBroken)
				} else if name != "Poll" {
					require.Equal(t, io.EOF, err)
				}
			})
			t.Run("the other one comes and goes", func(t *testing.T) {
				proctest.NoLeaks(t)
				a, b := waiting(t, tt.fill)
				for range 50 { // each time it may sleep or not
					done := background(func() error { return tt.wait(t.Context(), a) })
					require.NoError(t, tt.serve(b))
					require.NoError(t, outcome(t, done))
					if name == "Poll" {
						require.NoError(t, recvOne(a))
					}
				}
			})
		})
	}
}

func TestPipePoll(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	require.Equal(t, context.Canceled, a.Poll(overCtx(t)))
	require.NoError(t, b.TrySend(5))
	for range 2 {
		require.NoError(t, a.Poll(t.Context()))
		require.NoError(t, a.Poll(overCtx(t)), "what is there is there")
	}
	got, err := a.TryRecv()
	require.NoError(t, err)
	require.Equal(t, 5, got)
	require.Equal(t, context.Canceled, a.Poll(overCtx(t)))
	require.NoError(t, b.Close())
	require.NoError(t, a.Poll(t.Context()))
	require.NoError(t, a.Poll(overCtx(t)), "the end is there as well")
	require.NoError(t, a.Close())
	require.NoError(t, a.Poll(overCtx(t)))
}

// A long message waits until there is enough room, not only some.
func TestPipeWaitsForEnoughRoom(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[string](t, &PipeOptions{Bytes: 128})
	for range 8 {
		require.NoError(t, a.TrySend("12345678"))
	}
	long := strings.Repeat("x", 56)
	done := background(func() error { return a.Send(t.Context(), long) })
	for i := range 8 {
		awaitSleeper(t, &a.end.send.words.room)
		got, err := b.TryRecv()
		require.NoError(t, err)
		require.Equal(t, "12345678", got)
		if i == 0 {
			select {
			case err := <-done:
				t.Fatalf("it was sent with 16 bytes free: %v", err)
			default:
			}
		}
		if i >= 3 { // there may be enough
			break
		}
	}
	require.NoError(t, outcome(t, done))
	for range 4 {
		_, err := b.TryRecv()
		require.NoError(t, err)
	}
	got, err := b.TryRecv()
	require.NoError(t, err)
	require.Equal(t, long, got)
}

// An end is one of many things that are waited for.
func TestPipeAwait(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, nil)
	x, y, err := NewBytePipe(nil)
	require.NoError(t, err)
	ending(t, x)
	ending(t, y)
	sources := []await.Source{a, x}
	any := func(ctx context.Context) (ready []int) {
		ready, err := await.Any(ctx, sources)
		require.True(t, err == nil || errors.Is(err, context.Canceled))
		return ready
	}
	require.Empty(t, any(overCtx(t)))
	for range 20 {
		done := background(func() []int { return any(t.Context()) })
		require.NoError(t, b.TrySend(1))
		require.Equal(t, []int{0}, outcome(t, done))
		require.NoError(t, recvOne(a))

		done = background(func() []int { return any(t.Context()) })
		require.NoError(t, y.SendBytes(t.Context(), nil))
		require.Equal(t, []int{1}, outcome(t, done))
		require.NoError(t, b.TrySend(1))
		require.Equal(t, []int{0, 1}, any(t.Context()))
		_, err := x.RecvBytes(t.Context(), 0)
		require.NoError(t, err)
		require.NoError(t, recvOne(a))
	}
	done := background(func() []int { return any(t.Context()) })
	awaitSleeper(t, itemsOf(a))
	require.NoError(t, b.Close())
	require.Equal(t, []int{0}, outcome(t, done))
	require.NoError(t, a.Close())
	require.Equal(t, []int{0}, any(t.Context()))

	// An end that only sends would not wait either: Recv fails at once.
	receiver, sender := testPipe[int](t, &PipeOptions{OneWay: true})
	sources = []await.Source{receiver, sender}
	require.Equal(t, []int{1}, any(t.Context()))
}

// The messages in place.
func TestPipeFuncs(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[padded](t, &PipeOptions{Capacity: 2})
	wrong := errors.New("on purpose")
	require.Equal(t, wrong, a.SendFunc(t.Context(), func(m *padded) error { *m = padded{A: 9}; return wrong }))
	require.PanicsWithValue(t, "on purpose", func() {
		_ = a.SendFunc(t.Context(), func(m *padded) error { *m = padded{A: 9}; panic("on purpose") })
	})
	require.Equal(t, ErrEmpty, errOf(b.TryRecv()))
	for i := range byte(10) {
		require.NoError(t, a.SendFunc(t.Context(), func(m *padded) error { *m = padded{A: i, B: -1}; return nil }))
		require.Equal(t, wrong, b.RecvFunc(t.Context(), func(m *padded) error { return wrong }))
		require.PanicsWithValue(t, "on purpose", func() {
			_ = b.RecvFunc(t.Context(), func(m *padded) error { panic("on purpose") })
		})
		require.NoError(t, b.RecvFunc(t.Context(), func(m *padded) error {
			require.Equal(t, padded{A: i, B: -1}, *m)
			return nil
		}), "it was still the next")
		require.Equal(t, ErrEmpty, errOf(b.TryRecv()))
	}

	x, y := testPipe[string](t, nil)
	for _, err := range []error{
		x.SendFunc(t.Context(), func(*string) error { return nil }),
		y.RecvFunc(t.Context(), func(*string) error { return nil }),
	} {
		require.ErrorIs(t, err, ErrType)
		require.ErrorContains(t, err, "string has no fixed size")
	}
	receiver, sender := testPipe[int](t, &PipeOptions{OneWay: true})
	require.ErrorIs(t, receiver.SendFunc(t.Context(), func(*int) error { return nil }), ErrDirection)
	require.ErrorIs(t, sender.RecvFunc(t.Context(), func(*int) error { return nil }), ErrDirection)
	require.NoError(t, sender.Close())
	require.ErrorIs(t, sender.SendFunc(t.Context(), func(*int) error { return nil }), ErrClosed)
	require.ErrorIs(t, sender.RecvFunc(t.Context(), func(*int) error { return nil }), ErrClosed)
	require.Equal(t, io.EOF, receiver.RecvFunc(t.Context(), func(*int) error { return nil }))
}

func errOf[T any](_ T, err error) error { return err }
