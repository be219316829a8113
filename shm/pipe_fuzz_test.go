package shm

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// A scrawl is what stands in the words of one way, and of the other end.
type scrawl struct {
	tail, head  uint64
	items, room uint32
	state       uint64
	records     []byte
}

// FuzzPipeWords writes any words and records into a pipe, as a peer might that
// has gone mad, and then uses an end that was open before, and one that arrives
// later. Each operation ends, with a message, an error or its context, and stays
// inside the ring.
func FuzzPipeWords(f *testing.F) {
	alive := uint64(roster.Me())
	text := "\x05\x00\x00\x00\x00\x00\x00\x00hello\x00\x00\x00"
	skip := "\x00\x00\x00\x00\x00\x00\x00\x80"
	for _, s := range []scrawl{
		{},
		{tail: 1<<32 | 2, state: alive, records: []byte(text)},
		{tail: 2<<32 | 10, head: 1<<32 | 7, state: alive, records: []byte(text + text + text + "\x00\x00\x00\x00\x00\x00\x00\x00" + skip)},
		{tail: 1<<32 | 8, state: alive, records: []byte(skip)},
		{tail: 1<<32 | 1, state: alive, records: []byte(text)},
		{tail: 1<<32 | 8, state: alive, records: []byte("\xff\xff\xff\xff\x00\x00\x00\x00")},
		{tail: 9<<32 | 9, state: alive},
		{tail: 1<<64 - 1, head: 1<<63 + 1, items: 1<<32 - 1, room: 1<<32 - 1, state: 1<<64 - 1},
		{head: 5<<32 | 5, state: alive | endTransit},
		{tail: 3 << 32, state: alive | endClosed, items: eventClosing, room: eventSleeper},
		{tail: 3, head: 1 << 40, state: alive, items: eventSealed},
	} {
		f.Add(s.tail, s.head, s.items, s.room, s.state, s.records, uint8(7))
		f.Add(s.tail, s.head, s.items, s.room, s.state, s.records, uint8(0))
	}
	f.Fuzz(func(t *testing.T, tail, head uint64, items, room uint32, state uint64, records []byte, seed uint8) {
		s := scrawl{tail, head, items, room, state, records}
		t.Run("slots", func(t *testing.T) {
			a, b := testPipe[int32](t, &PipeOptions{Capacity: 5})
			worried(t, a, b, s, int32(seed), seed)
		})
		t.Run("bytes", func(t *testing.T) {
			a, b := testBytePipe(t, &PipeOptions{Bytes: 64, Capacity: 5})
			worried(t, a.pipe, b.pipe, s, make([]byte, seed%32), seed)
			buffer := make([]byte, 100)
			for _, err := range []error{
				errOf(a.RecvBytes(overCtx(t), int(seed))),
				errOf(a.RecvInto(overCtx(t), buffer[:seed%64])),
			} {
				require.NotEqual(t, io.ErrUnexpectedEOF, err)
			}
			a.SetDeadline(time.Unix(1, 0))
			for range 3 {
				_, _ = a.Read(buffer[:1+seed%8])
				_, _ = a.Write(buffer[:seed%64])
			}
		})
		t.Run("map", func(t *testing.T) {
			a, b := testPipe[map[string]int](t, &PipeOptions{Bytes: 64})
			worried(t, a, b, s, map[string]int{"a": 1}, seed)
		})
	})
}

// worried scrawls over what the first end of a pipe uses, and uses it.
func worried[T any](t *testing.T, a, b *Pipe[T], s scrawl, v T, seed uint8) {
	for i := range int(seed % 6) { // that the end remembers positions
		_ = a.TrySend(v)
		_ = b.TrySend(v)
		if i%2 == 0 {
			_, _ = a.TryRecv()
		}
	}
	scribble := func() {
		words := a.end.words
		for i := range words.ways {
			w := &words.ways[i]
			w.tail.Store(s.tail)
			w.head.Store(s.head)
			w.items.word.Store(s.items)
			w.room.word.Store(s.room)
		}
		words.ends[1].state.Store(s.state)
		data := a.end.mapping.data[headerSize+pipeData:]
		copy(data, s.records)
		copy(data[len(data)/2:], s.records)
	}
	scribble()
	use(t, a, v)
	scribble()
	arrived := roundTrip(t, a)
	ending(t, arrived)
	use(t, arrived, v)
	words := a.end.words
	words.ends[1].state.Store(uint64(roster.Me())) // so that the ends can be closed as usual
}

// use calls every method. Whatever is in the ring comes to its end, as nobody
// sends anything.
func use[T any](t *testing.T, p *Pipe[T], v T) {
	soon, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	defer cancel()
	for i := 0; ; i++ {
		require.Less(t, i, 100, "there are more messages than the ring can hold")
		if _, err := p.TryRecv(); err != nil {
			break
		}
	}
	for i := 0; ; i++ {
		require.Less(t, i, 100, "there is more room than the ring has")
		if err := p.TrySend(v); err != nil {
			break
		}
	}
	for _, ctx := range []context.Context{overCtx(t), soon} {
		_ = p.Poll(ctx)
		_ = p.Send(ctx, v)
		_, _ = p.SendAll(ctx, []T{v, v, v})
		_, _ = p.Recv(ctx)
		n, _ := p.RecvUpTo(ctx, make([]T, 3))
		require.LessOrEqual(t, n, 3)
		_ = p.SendFunc(ctx, func(m *T) error { *m = v; return nil })
		_ = p.RecvFunc(ctx, func(*T) error { return nil })
	}
	_ = p.String()
}
