package shm

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/plain"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// FuzzQueueWords fills the memory of a queue with any bytes, as a peer can at any
// time, and carries out some operations. Each ends with an item, an error or its
// context.
func FuzzQueueWords(f *testing.F) {
	words := func(fill func(*ringWords)) []byte {
		memory := make([]byte, ringWordsSize)
		fill(&viewOf[ringWords](memory, 1)[0])
		return memory
	}
	at := func(items, units uint32) uint64 { return uint64(items)<<32 | uint64(units) }
	all := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	skip := []byte{0, 0, 0, 0, 0, 0, 0, 0x80}
	for _, seed := range [][]byte{
		nil,
		words(func(w *ringWords) { w.tail.Store(at(3, 3)) }),
		words(func(w *ringWords) { w.tail.Store(at(1, 9)) }),
		words(func(w *ringWords) { w.head.Store(at(0, 1)) }),
		words(func(w *ringWords) { w.headSeen = at(5, 5); w.tailSeen = at(7, 2) }),
		words(func(w *ringWords) { w.tail.Store(at(1<<31, 1<<31)); w.head.Store(at(1<<31, 1<<31-4)) }),
		words(func(w *ringWords) { w.tail.Store(at(0, 8)); w.head.Store(at(9, 0)) }),
		words(func(w *ringWords) { w.tail.Store(1<<64 - 1); w.head.Store(1<<64 - 2) }),
		words(func(w *ringWords) { w.items.word.Store(eventSealed) }),
		words(func(w *ringWords) { w.items.word.Store(1<<32 - 1); w.room.word.Store(1<<32 - 1) }),
		words(func(w *ringWords) { w.registered.Store(1); w.highest.Store(1<<32 - 1) }),
	} {
		f.Add(seed, []byte{}, skip, all, false)
		f.Add(seed, []byte{1}, []byte{24, 0, 0, 0, 0, 0, 0, 0}, all, true)
		f.Add(seed, make([]byte, 3*memberSize), []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, all, true)
	}

	f.Fuzz(func(t *testing.T, words, members, data, ops []byte, locks bool) {
		if len(ops) > 20 {
			return
		}
		hostile(t, testHostile[int64](t), words, members, data, ops, locks)
		hostile(t, testHostile[string](t), words, members, data, ops, locks)
		hostile(t, testHostile[[]byte](t), words, members, data, ops, locks)
	})
}

func testHostile[T any](t *testing.T) *Queue[T] {
	q, err := NewQueue[T](5, &QueueOptions{Bytes: 64, Tasks: true})
	require.NoError(t, err)
	return q
}

// hostile writes bytes over the words of a queue, over the table of members
// behind this process's entry, and over the data. Without the locks it leaves
// these alone, so that the rest is reached more often.
func hostile[T any](t *testing.T, q *Queue[T], words, members, data, ops []byte, locks bool) {
	defer func() {
		viewOf[ringWords](q.ring.mapping.data[headerSize:], 1)[0].highest.Store(0) // Detach looks at nobody else
		require.NoError(t, q.Detach())
	}()
	memory := q.ring.mapping.data[headerSize:]
	copy(memory[:ringWordsSize], words)
	if !locks {
		clear(memory[0:8])
		clear(memory[128:136])
	}
	copy(memory[ringMembers+memberSize:ringData], members)
	for i := range memory[ringData:] {
		if len(data) > 0 {
			memory[ringData+i] = data[i%len(data)]
		}
	}
	for _, op := range ops {
		operate(t, q, int(op)%12)
	}
}

// operate does something that does not wait. Len and the numbers that are
// returned stay within what a caller can expect.
func operate[T any](t *testing.T, q *Queue[T], op int) {
	var none T
	var n int
	items := make([]T, 9)
	switch op {
	case 0:
		_ = q.TryPut(none)
	case 1:
		_, _ = q.TryGet()
	case 2:
		n, _ = q.PutAll(expired(), items)
	case 3:
		n, _ = q.GetUpTo(expired(), items)
	case 4:
		_ = q.Put(expired(), none)
	case 5:
		_, _ = q.Get(expired())
	case 6:
		if b, ok := any(q).(*Queue[[]byte]); ok {
			_ = PutBytesFunc(expired(), b, 24, func(item []byte) error { touch(item); return nil })
			_ = GetBytesFunc(expired(), b, func(item []byte) error { touch(item); return nil })
			return
		}
		_ = q.PutFunc(expired(), func(item *T) error { *item = none; return nil })
		_ = q.GetFunc(expired(), func(item *T) error { none = *item; return nil })
	case 7:
		for _, err := range q.All(expired()) {
			if n++; n > 20 || err != nil {
				break
			}
		}
		n = 0
	case 8:
		_ = q.Join(expired())
	case 9:
		if q.Register(expired()) == nil {
			q.Deregister()
		}
	case 10:
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		_, _ = q.Get(ctx)
	case 11:
		_ = q.Close()
	}
	require.True(t, n >= 0 && n <= len(items), n)
	require.True(t, q.Len() >= 0 && q.Len() <= q.Cap(), "%s", q)
}

// FuzzQueueEntry receives a queue from a segment whose directory says anything.
// It is refused, or it lies inside, and works.
func FuzzQueueEntry(f *testing.F) {
	q := testQueue[int32](f, 5, nil)
	s := testQueue[string](f, 5, &QueueOptions{Bytes: 64})
	for _, m := range []*mapping{q.ring.mapping, s.ring.mapping} {
		page := firstPage(f, m.file)
		f.Add(page[fixedSize:][:entrySize], uint32(m.size), false)
		f.Add(page[fixedSize:][:entrySize], uint32(m.size), true)
		f.Add(page[fixedSize:][:entrySize], uint32(m.size-1), false)
	}
	f.Add([]byte{kindQueue}, uint32(headerSize+ringData), true)

	f.Fuzz(func(t *testing.T, bytes []byte, size uint32, fix bool) {
		size %= 1 << 17
		page := make([]byte, headerSize)
		copy(page, magic)
		put32(atVersion, version)(page)
		put32(atObjects, 1)(page)
		put64(atSize, uint64(size))(page)
		table := roster.TableID()
		copy(page[atRoster:], table[:])
		copy(page[fixedSize:][:entrySize], bytes)
		if fix {
			put32(atKind, kindQueue)(page)
			put64(atOffset, headerSize+ringData)(page)
			put64(atFingerprint, plain.Fingerprint(reflect.TypeFor[int32]()))(page)
		}
		before := len(mappings.byKey)
		accepted(t, page, size, func(q *Queue[int32]) {
			offsetOf(t, q.ring.mapping, q.slots)
			touch(q.slots)
		})
		accepted(t, page, size, func(q *Queue[string]) {
			offsetOf(t, q.ring.mapping, slices.Clip(q.records.data))
			touch(q.records.data)
			clear(q.records.data)
		})
		require.Len(t, mappings.byKey, before)
	})
}

// accepted receives a queue from a forged segment, and tries it if there is one.
func accepted[T comparable](t *testing.T, page []byte, size uint32, look func(*Queue[T])) {
	q, err := receiveFrom[Queue[T]](ticket{}, forge(t, page, int64(size), fixed))
	if err != nil {
		if q != nil {
			require.ErrorIs(t, q.Detach(), ErrClosed, "it is as if detached")
		}
		return
	}
	look(q)
	var item T
	for range min(q.Cap(), 20) {
		err := q.TryPut(item)
		if err == ErrFull && q.slots == nil {
			break // it has too few bytes for so many
		}
		require.NoError(t, err)
	}
	for n := q.Len(); n > 0; n-- {
		require.Equal(t, item, getNow(t, q))
	}
	requireEmpty(t, q)
	require.NoError(t, q.Detach())
}
