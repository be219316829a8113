package shm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Messages of each size that fits, at each place of the ring: with and without a
// skip over its end, which is of each length as well.
func TestQueueMessagesOfEachSize(t *testing.T) {
	proctest.NoLeaks(t)
	const ring, units, biggest = 128, 16, 56
	q := testQueue[[]byte](t, 100, &QueueOptions{Bytes: ring})
	require.Equal(t, biggest, q.records.biggest())
	skips := map[uint32]bool{}
	for n := range biggest + 1 {
		for start := range uint32(units) {
			for position(q.ring.words.tail.Load()).units()%units != start {
				putNow(t, q, nil) // one unit
				require.Empty(t, getNow(t, q))
			}
			skips[q.records.skip(position(start), recordUnits(n))] = true
			message := bytes.Repeat([]byte{byte(n + 1)}, n)
			putNow(t, q, message)
			require.Equal(t, 1, q.Len())
			require.Equal(t, message, getNow(t, q), "%d bytes at %d", n, start)
			requireEmpty(t, q)
		}
	}
	require.Len(t, skips, 8, "none, and each up to what is less than the biggest")
}

// Messages of mixed sizes fill the ring until no more fits, at whatever place;
// each is as it was.
func TestQueueMessagesFillTheRing(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[string](t, 100, &QueueOptions{Bytes: 128})
	var inside []string
	full := 0
	for i := range 5000 {
		message := strings.Repeat(string(rune('a'+i%26)), i*7%57)
		for {
			err := q.TryPut(message)
			if err == nil {
				break
			}
			require.ErrorIs(t, err, ErrFull)
			require.NotEmpty(t, inside, "what fits into the ring fits into an empty one")
			require.Equal(t, inside[0], getNow(t, q))
			inside = inside[1:]
			full++
		}
		inside = append(inside, message)
		require.Equal(t, len(inside), q.Len())
	}
	require.Greater(t, full, 1000)
	for _, message := range inside {
		require.Equal(t, message, getNow(t, q))
	}
	requireEmpty(t, q)
}

func TestQueueMessageTooBig(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[string](t, 3, &QueueOptions{Bytes: 64, Name: "small"})
	want := `shm: queue "small": put: wrong size: a message of 25 bytes; the ring has 64, and the biggest message has 24`
	big := strings.Repeat("x", 25)
	for _, ctx := range []context.Context{t.Context(), expired(), atOnce} {
		err := q.Put(ctx, big)
		require.ErrorIs(t, err, ErrSize)
		require.EqualError(t, err, want)
	}
	n, err := q.PutAll(t.Context(), []string{"a", big, "b"})
	require.EqualError(t, err, want)
	require.Equal(t, 1, n)
	putNow(t, q, big[:24])
	require.Equal(t, "a", getNow(t, q))
	require.Equal(t, big[:24], getNow(t, q))

	b := testQueue[[]byte](t, 1, &QueueOptions{Bytes: 64})
	for _, n := range []int{-1, math.MinInt, 25, math.MaxInt} {
		err := PutBytesFunc(t.Context(), b, n, func([]byte) error { t.Error("it ran"); return nil })
		require.ErrorIs(t, err, ErrSize)
		require.ErrorContains(t, err, fmt.Sprintf("a message of %d bytes; the ring has 64, and the biggest message has 24", n))
	}
	m := testQueue[map[string]string](t, 1, &QueueOptions{Bytes: 64})
	require.ErrorIs(t, m.TryPut(map[string]string{"key": big}), ErrSize, "its encoding is too big")
	require.Zero(t, m.Len())
}

func TestQueueBytes(t *testing.T) {
	for _, tt := range []struct{ capacity, bytes, want int }{
		{1, 0, 1 << 20}, {4096, 0, 1 << 20}, {4097, 0, 1 << 21}, {1, 1, 64}, {1, 64, 64}, {1, 65, 128}, {1, 72, 128}, {1 << 20, 100, 128},
	} {
		q := testQueue[string](t, tt.capacity, &QueueOptions{Bytes: tt.bytes})
		require.Len(t, q.records.data, tt.want, "%v", tt)
	}
}

var errNot = errors.New("not this time")

// What a function fails on, or panics at, is not put, and not taken.
func TestQueuePutFunc(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[three](t, 1, nil)
	for range 3 {
		require.Equal(t, errNot, q.PutFunc(t.Context(), func(item *three) error { item.X = 9; return errNot }))
		require.PanicsWithValue(t, "oh", func() { _ = q.PutFunc(t.Context(), func(*three) error { panic("oh") }) })
		requireEmpty(t, q)
		require.NoError(t, q.PutFunc(t.Context(), func(item *three) error { *item = three{1, 2, 3}; return nil }))
		require.Equal(t, ErrFull, q.PutFunc(atOnce, func(*three) error { t.Error("it ran"); return nil }))
		require.ErrorIs(t, q.PutFunc(expired(), func(*three) error { t.Error("it ran"); return nil }), context.Canceled)
		require.Equal(t, three{1, 2, 3}, getNow(t, q))
	}
}

func TestQueueGetFunc(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[three](t, 3, nil)
	for i := range 5 {
		want := three{float64(i), 2, 3}
		putNow(t, q, want, three{4, 5, 6})
		seen := func(err error) func(*three) error {
			return func(item *three) error { require.Equal(t, want, *item); return err }
		}
		require.Equal(t, errNot, q.GetFunc(t.Context(), seen(errNot)))
		require.PanicsWithValue(t, "oh", func() { _ = q.GetFunc(t.Context(), func(*three) error { panic("oh") }) })
		require.Equal(t, 2, q.Len())
		require.NoError(t, q.GetFunc(expired(), seen(nil)))
		require.Equal(t, three{4, 5, 6}, getNow(t, q))
		require.ErrorIs(t, q.GetFunc(expired(), func(*three) error { t.Error("it ran"); return nil }), context.Canceled)
	}
}

func TestQueueBytesFuncs(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[[]byte](t, 3, &QueueOptions{Bytes: 64})
	never := func([]byte) error { t.Error("it ran"); return nil }
	for i := range 30 {
		n := i % 25
		write := func(err error) func([]byte) error {
			return func(item []byte) error {
				require.Len(t, item, n)
				require.Equal(t, n, cap(item))
				copy(item, strings.Repeat(string(rune('a'+n)), n))
				return err
			}
		}
		require.Equal(t, errNot, PutBytesFunc(t.Context(), q, n, write(errNot)))
		require.PanicsWithValue(t, "oh", func() { _ = PutBytesFunc(t.Context(), q, n, func([]byte) error { panic("oh") }) })
		requireEmpty(t, q)
		require.ErrorIs(t, GetBytesFunc(expired(), q, never), context.Canceled)
		require.NoError(t, PutBytesFunc(expired(), q, n, write(nil)))

		read := func(err error) func([]byte) error {
			return func(item []byte) error {
				require.Equal(t, strings.Repeat(string(rune('a'+n)), n), string(item))
				require.Equal(t, n, cap(item))
				return err
			}
		}
		require.Equal(t, errNot, GetBytesFunc(t.Context(), q, read(errNot)))
		require.PanicsWithValue(t, "oh", func() { _ = GetBytesFunc(t.Context(), q, func([]byte) error { panic("oh") }) })
		require.Equal(t, 1, q.Len())
		require.NoError(t, GetBytesFunc(t.Context(), q, read(nil)))
	}
	putNow(t, q, []byte("a"), []byte("b"), []byte("c"))
	require.ErrorIs(t, PutBytesFunc(expired(), q, 1, never), context.Canceled)
}

// In place there is nothing to point at for items without a fixed size.
func TestQueueFuncsNeedSlots(t *testing.T) {
	q := testQueue[string](t, 1, &QueueOptions{Name: "texts"})
	never := func(*string) error { t.Error("it ran"); return nil }
	for op, err := range map[string]error{"put": q.PutFunc(t.Context(), never), "get": q.GetFunc(t.Context(), never)} {
		require.ErrorIs(t, err, ErrType)
		require.EqualError(t, err, `shm: queue "texts": `+op+`: type cannot be shared: string has no fixed size, so it cannot be used in place`)
	}
}

// A failure in place hands on the wake that brought the caller there: another
// one may sleep beside what was not put or taken.
func TestQueueFailureInPlaceWakesAnother(t *testing.T) {
	q := testQueue[int](t, 1, nil)
	items, room := &q.ring.words.items, &q.ring.words.room
	passedOn := func(e *event, fn func()) {
		t.Helper()
		woken := sleepsIn(t, func() error {
			return futex.WaitV([]futex.Waiter{futex.Watch(&e.word, e.word.Load())}, futex.After(time.Hour))
		})
		fn()
		select {
		case err := <-woken:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Fatal("nobody was woken")
		}
	}
	fails, panics := func(*int) error { return errNot }, func(*int) error { panic("oh") }
	passedOn(room, func() { require.ErrorIs(t, q.PutFunc(t.Context(), fails), errNot) })
	passedOn(room, func() { require.Panics(t, func() { _ = q.PutFunc(t.Context(), panics) }) })
	putNow(t, q, 1)
	passedOn(items, func() { require.ErrorIs(t, q.GetFunc(t.Context(), fails), errNot) })
	passedOn(items, func() { require.Panics(t, func() { _ = q.GetFunc(t.Context(), panics) }) })
}
