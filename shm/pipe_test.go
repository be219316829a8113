package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// testPipe makes a pipe. At the end of the test the ends are closed that the
// test has left open.
func testPipe[T any](t testing.TB, o *PipeOptions) (a, b *Pipe[T]) {
	t.Helper()
	a, b, err := NewPipe[T](o)
	require.NoError(t, err)
	ending(t, a)
	ending(t, b)
	return a, b
}

// ending closes c at the end of the test, unless the test has.
func ending(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); !errors.Is(err, ErrClosed) {
			require.NoError(t, err)
		}
	})
}

// eventually waits for what must happen soon.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); runtime.Gosched() {
		require.True(t, time.Now().Before(end), "it takes too long until %s", what)
	}
}

// awaitSleeper waits until somebody is about to sleep on an event on which nobody
// slept before.
func awaitSleeper(t testing.TB, e *event) {
	t.Helper()
	eventually(t, "somebody sleeps", func() bool { return e.word.Load()&eventSleeper != 0 })
}

// background calls fn in a goroutine of its own.
func background[R any](fn func() R) <-chan R {
	c := make(chan R, 1)
	go func() { c <- fn() }()
	return c
}

// outcome waits for what background has begun.
func outcome[R any](t testing.TB, c <-chan R) (r R) {
	t.Helper()
	select {
	case r = <-c:
	case <-time.After(time.Minute):
		t.Fatal("it is stuck")
	}
	return r
}

// overCtx is a context that has ended.
func overCtx(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// requireOver checks that nothing is left to receive, and that nobody receives
// any more, however often it is tried.
func requireOver[T any](t testing.TB, p *Pipe[T]) {
	t.Helper()
	var v T
	for range 3 {
		_, err := p.Recv(t.Context())
		require.Equal(t, io.EOF, err)
		_, err = p.TryRecv()
		require.Equal(t, io.EOF, err)
		n, err := p.RecvUpTo(t.Context(), make([]T, 3))
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
		require.NoError(t, p.Poll(t.Context()), "Recv would not wait")
		requireBroken(t, p, v)
	}
}

// requireBroken checks that nothing can be sent any more, however often it is
// tried.
func requireBroken[T any](t testing.TB, p *Pipe[T], v T) {
	t.Helper()
	for range 3 {
		require.ErrorIs(t, p.Send(t.Context(), v), ErrBroken)
		require.ErrorIs(t, p.TrySend(v), ErrBroken)
		n, err := p.SendAll(t.Context(), []T{v, v})
		require.Zero(t, n)
		require.ErrorIs(t, err, ErrBroken)
	}
}

func TestPipeRefuses(t *testing.T) {
	proctest.NoLeaks(t)
	type holder struct{ In []map[string]*Array[int32] }
	for name, tt := range map[string]struct {
		make func() error
		want error
		text string
	}{
		"negative capacity":  {func() error { _, _, err := NewPipe[int](&PipeOptions{Capacity: -1}); return err }, ErrSize, "a capacity of -1 items"},
		"huge capacity":      {func() error { _, _, err := NewPipe[int](&PipeOptions{Capacity: 1<<31 + 1}); return err }, ErrSize, "2147483649"},
		"more than can be":   {func() error { _, _, err := NewPipe[[1 << 20]int](&PipeOptions{Capacity: 1 << 31}); return err }, nil, "map 36028797018969088 bytes"},
		"negative room":      {func() error { _, _, err := NewPipe[string](&PipeOptions{Bytes: -1}); return err }, ErrSize, "room of -1 bytes"},
		"negative byte room": {func() error { _, _, err := NewBytePipe(&PipeOptions{Bytes: -1}); return err }, ErrSize, "room of -1 bytes"},
		"channel":            {func() error { _, _, err := NewPipe[struct{ C []chan int }](nil); return err }, ErrType, "C[]"},
		"function":           {func() error { _, _, err := NewPipe[func()](nil); return err }, ErrType, "func"},
		"shared array":       {func() error { _, _, err := NewPipe[holder](nil); return err }, ErrType, "holds shared objects"},
		"pipe":               {func() error { _, _, err := NewPipe[*Pipe[int]](nil); return err }, ErrType, "holds shared objects"},
		"bad name":           {func() error { _, _, err := NewPipe[int](&PipeOptions{Name: "a\x00b"}); return err }, nil, `"a\x00b"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.make()
			require.Regexp(t, `^shm: pipe ".*": create: `, err.Error())
			require.ErrorContains(t, err, tt.text)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
			require.Empty(t, mappings.byKey)
		})
	}
}

// The type's name may be longer than the kernel takes.
func TestPipeOfTypeWithLongName(t *testing.T) {
	proctest.NoLeaks(t)
	type wide = struct {
		AFieldWithQuiteALongName, AnotherFieldWithQuiteALongName, YetAnotherFieldWithQuiteALongName     int32
		AFieldWithAnEvenLongerName, AnotherFieldWithAnEvenLongerName, YetAnotherFieldWithALongerName    int32
		TheSeventhFieldWithQuiteALongName, TheEighthFieldWithALongName, TheNinthFieldWithQuiteALongName int32
	}
	require.Greater(t, len(reflect.TypeFor[wide]().String()), 249)
	a, b := testPipe[wide](t, nil)
	require.NoError(t, a.TrySend(wide{TheEighthFieldWithALongName: 8}))
	got, err := b.TryRecv()
	require.NoError(t, err)
	require.EqualValues(t, 8, got.TheEighthFieldWithALongName)
}

func TestPipeName(t *testing.T) {
	proctest.NoLeaks(t)
	a, _ := testPipe[int32](t, &PipeOptions{Name: "a-pipe"})
	require.Equal(t, 1, mapped(t, "a-pipe"), "both ends share a mapping")
	require.Equal(t, "shm.Pipe[int32](end 1)", a.String())
	_, b := testPipe[int32](t, nil)
	require.Equal(t, 1, mapped(t, "int32"))
	require.Equal(t, "shm.Pipe[int32](end 2)", b.String())
	require.NoError(t, b.Close())
	require.Equal(t, "shm.Pipe[int32](closed)", b.String())
}

// Three means three, whatever the ring is rounded up to.
func TestPipeCapacity(t *testing.T) {
	proctest.NoLeaks(t)
	for _, capacity := range []int{1, 2, 3, 5, 64, 1000} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			t.Run("int", func(t *testing.T) { holds(t, capacity, 7) })
			t.Run("string", func(t *testing.T) { holds(t, capacity, "seven") })
		})
	}
}

func holds[T any](t *testing.T, capacity int, v T) {
	a, b := testPipe[T](t, &PipeOptions{Capacity: capacity})
	for round := range 3 {
		for range capacity {
			require.NoError(t, a.TrySend(v))
		}
		require.Equal(t, ErrFull, a.TrySend(v))
		require.ErrorIs(t, a.Send(overCtx(t), v), context.Canceled)
		n, err := a.SendAll(overCtx(t), []T{v, v})
		require.Zero(t, n)
		require.ErrorIs(t, err, context.Canceled)

		_, err = b.TryRecv()
		require.NoError(t, err)
		require.NoError(t, a.TrySend(v), "one was received")
		require.Equal(t, ErrFull, a.TrySend(v))

		for range capacity {
			_, err := b.TryRecv()
			require.NoError(t, err)
		}
		_, err = b.TryRecv()
		require.Equal(t, ErrEmpty, err)

		n, err = a.SendAll(overCtx(t), make([]T, capacity+round+1))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, capacity, n, "as many as fit")
		n, err = b.RecvUpTo(t.Context(), make([]T, capacity+1))
		require.NoError(t, err)
		require.Equal(t, capacity, n)
	}
	require.NoError(t, b.TrySend(v), "the other way has room of its own")
}

func TestPipeDefaultCapacity(t *testing.T) {
	proctest.NoLeaks(t)
	a, _ := testPipe[int](t, nil)
	for i := range 1024 {
		require.NoError(t, a.TrySend(i))
	}
	require.Equal(t, ErrFull, a.TrySend(0))
}

// Batches of all sizes go around the end of the ring.
func TestPipeBatches(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, &PipeOptions{Capacity: 6})
	n, err := a.SendAll(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = b.RecvUpTo(t.Context(), nil) // does not wait
	require.NoError(t, err)
	require.Zero(t, n)

	next, want := 0, 0
	for round := range 500 {
		batch := make([]int, round%7)
		for i := range batch {
			batch[i] = next + i
		}
		n, err := a.SendAll(overCtx(t), batch)
		require.True(t, n == len(batch) || errors.Is(err, context.Canceled))
		next += n
		got := make([]int, 1+round%5)
		n, err = b.RecvUpTo(overCtx(t), got)
		require.True(t, err == nil || want == next)
		for _, v := range got[:n] {
			require.Equal(t, want, v)
			want++
		}
	}
	require.Greater(t, want, 1000)
}

func TestPipeOneWay(t *testing.T) {
	proctest.NoLeaks(t)
	t.Run("int", func(t *testing.T) { oneWay(t, 5) })
	t.Run("string", func(t *testing.T) { oneWay(t, "five") })
}

func oneWay[T any](t *testing.T, v T) {
	receiver, sender := testPipe[T](t, &PipeOptions{OneWay: true, Name: "street"})
	require.NoError(t, sender.Send(t.Context(), v))
	got, err := receiver.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, v, got)

	for name, fn := range map[string]func() error{
		"Send":     func() error { return receiver.Send(t.Context(), v) },
		"TrySend":  func() error { return receiver.TrySend(v) },
		"SendAll":  func() error { _, err := receiver.SendAll(t.Context(), []T{v}); return err },
		"Recv":     func() error { _, err := sender.Recv(t.Context()); return err },
		"TryRecv":  func() error { _, err := sender.TryRecv(); return err },
		"RecvUpTo": func() error { _, err := sender.RecvUpTo(t.Context(), make([]T, 1)); return err },
	} {
		require.ErrorIs(t, fn(), ErrDirection, name)
		require.Regexp(t, `^shm: pipe "street": (send: wrong direction: this end only receives|receive: wrong direction: this end only sends)$`, fn().Error(), name)
	}
	require.NoError(t, sender.Poll(t.Context()), "Recv would not wait")
	require.NoError(t, sender.Close())
	_, err = receiver.Recv(t.Context())
	require.Equal(t, io.EOF, err)
}

func TestPipeTooBig(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[string](t, &PipeOptions{Bytes: 64, Name: "narrow"})
	biggest := strings.Repeat("x", 24)
	err := a.Send(t.Context(), biggest+"y")
	require.ErrorIs(t, err, ErrSize)
	require.ErrorContains(t, err, `shm: pipe "narrow": send: wrong size: a message of 25 bytes; the ring has 64, and the biggest message has 24`)
	require.ErrorIs(t, a.TrySend(biggest+"y"), ErrSize)
	n, err := a.SendAll(t.Context(), []string{"a", biggest + "y", "b"})
	require.ErrorIs(t, err, ErrSize)
	require.Equal(t, 1, n)
	got, err := b.TryRecv()
	require.NoError(t, err)
	require.Equal(t, "a", got)
	_, err = b.TryRecv()
	require.Equal(t, ErrEmpty, err, "the big one was not sent")

	for start := range 20 { // from wherever in the ring
		for _, m := range []string{strings.Repeat("s", start%9), biggest} {
			require.NoError(t, a.TrySend(m))
			got, err := b.TryRecv()
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
	}
}

// Messages of all lengths, from all places in the ring.
func TestPipeRecordsWrap(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[string](t, &PipeOptions{Bytes: 256})
	text := strings.Repeat("0123456789abcdef", 8)[:120]
	for n := range 121 {
		for m := range 121 {
			require.NoError(t, a.TrySend(text[:n]))
			full := a.TrySend(text[120-m:])
			got, err := b.TryRecv()
			require.NoError(t, err)
			require.Equal(t, text[:n], got)
			if full == nil {
				got, err = b.TryRecv()
				require.NoError(t, err)
				require.Equal(t, text[120-m:], got)
			} else {
				require.Equal(t, ErrFull, full)
				require.Greater(t, n+m, 100, "there must have been room")
			}
		}
	}
}

// Both ends send and receive at the same time, each way in goroutines of its
// own.
func TestPipeBothWaysAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	t.Run("int", func(t *testing.T) { bothWays(t, &PipeOptions{Capacity: 3}, func(i int) int { return i }) })
	t.Run("string", func(t *testing.T) {
		bothWays(t, &PipeOptions{Bytes: 128}, func(i int) string { return strings.Repeat("x", i%57) })
	})
}

func bothWays[T any](t *testing.T, o *PipeOptions, message func(i int) T) {
	const count = 5000
	a, b := testPipe[T](t, o)
	var all []<-chan error
	for _, end := range []*Pipe[T]{a, b} {
		all = append(all, background(func() error {
			for i := range count {
				if err := end.Send(t.Context(), message(i)); err != nil {
					return fmt.Errorf("send %d: %w", i, err)
				}
			}
			return nil
		}), background(func() error {
			for i := range count {
				v, err := end.Recv(t.Context())
				if err != nil || !reflect.DeepEqual(v, message(i)) {
					return fmt.Errorf("receive %d: %v, %w", i, v, err)
				}
			}
			return nil
		}))
	}
	for _, c := range all {
		require.NoError(t, outcome(t, c))
	}
}
