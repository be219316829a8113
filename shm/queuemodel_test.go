package shm

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A queueModel is what a queue should be, as simply as it can be said, beside
// one, with several handles of it.
type queueModel[T any] struct {
	t        *rapid.T
	handles  []*Queue[T]
	item     *rapid.Generator[T]
	size     func(T) int // of its message; nil if items lie in slots
	capacity int
	units    int // of a ring of records

	items         []T
	spans         []int // units of each
	tail          int   // unit where the next record begins
	closed        bool
	registrations map[*Queue[T]]int
	registered    bool // once at least
	inHand        int  // got and not done
}

// span is how many units an item takes up if it is put now.
func (m *queueModel[T]) span(v T) int {
	if m.size == nil {
		return 1
	}
	units := 1 + (m.size(v)+7)/8
	if m.tail+units > m.units {
		units += m.units - m.tail
	}
	return units
}

func (m *queueModel[T]) fits(v T) bool {
	if m.size == nil {
		return len(m.items) < m.capacity
	}
	filled := 0
	for _, span := range m.spans {
		filled += span
	}
	return len(m.items) < m.capacity && filled+m.span(v) <= m.units
}

// wantPut is the error that putting v now must have.
func (m *queueModel[T]) wantPut(v T, full error) error {
	switch {
	case m.size != nil && m.size(v) > m.units*4-8:
		return ErrSize
	case m.closed:
		return ErrClosed
	case !m.fits(v):
		return full
	}
	return nil
}

func (m *queueModel[T]) didPut(v T) {
	m.items, m.spans = append(m.items, v), append(m.spans, m.span(v))
	if m.size != nil {
		m.tail = (m.tail + m.span(v)) % m.units
	}
}

// wantGet is the error that getting now must have. Who finds out that all
// producers have gone closes the queue.
func (m *queueModel[T]) wantGet(empty error) error {
	if len(m.items) > 0 {
		return nil
	}
	producers := 0
	for _, n := range m.registrations {
		producers += n
	}
	if m.registered && producers == 0 {
		m.closed = true
	}
	if m.closed {
		return ErrClosed
	}
	return empty
}

// didGet checks that v was the first item.
func (m *queueModel[T]) didGet(v T) {
	require.Equal(m.t, m.items[0], v)
	m.items, m.spans = m.items[1:], m.spans[1:]
	m.inHand++
}

func (m *queueModel[T]) any() *Queue[T] {
	return m.handles[rapid.IntRange(0, len(m.handles)-1).Draw(m.t, "handle")]
}

// one draws one of the ways of an operation that do not wait, and the error that
// it has if it would have to.
func (m *queueModel[T]) one(would error) (ctx context.Context, want error) {
	if rapid.Bool().Draw(m.t, "try") {
		return atOnce, would
	}
	return expired(), context.Canceled
}

func (m *queueModel[T]) isError(want, err error) bool {
	if want == nil {
		require.NoError(m.t, err)
		return false
	}
	require.ErrorIs(m.t, err, want)
	return true
}

func (m *queueModel[T]) put(*rapid.T) {
	v := m.item.Draw(m.t, "item")
	ctx, full := m.one(ErrFull)
	if !m.isError(m.wantPut(v, full), m.any().Put(ctx, v)) {
		m.didPut(v)
	}
}

func (m *queueModel[T]) putAll(*rapid.T) {
	items := rapid.SliceOfN(m.item, 0, 12).Draw(m.t, "items")
	n, err := m.any().PutAll(expired(), items)
	for _, v := range items[:n] {
		m.isError(m.wantPut(v, context.Canceled), nil)
		m.didPut(v)
	}
	if n < len(items) {
		m.isError(m.wantPut(items[n], context.Canceled), err)
	} else {
		require.NoError(m.t, err)
	}
}

func (m *queueModel[T]) get(*rapid.T) {
	ctx, empty := m.one(ErrEmpty)
	v, err := m.any().Get(ctx)
	if !m.isError(m.wantGet(empty), err) {
		m.didGet(v)
	}
}

func (m *queueModel[T]) getUpTo(*rapid.T) {
	items := make([]T, rapid.IntRange(1, 12).Draw(m.t, "n"))
	ctx, empty := m.one(ErrEmpty)
	n, err := m.any().GetUpTo(ctx, items)
	if m.isError(m.wantGet(empty), err) {
		require.Zero(m.t, n)
		return
	}
	require.Equal(m.t, min(len(items), len(m.items)), n)
	for _, v := range items[:n] {
		m.didGet(v)
	}
	if m.size != nil && n < len(items) {
		_ = m.wantGet(nil) // messages are taken one by one, until one look finds none
	}
}

// inPlace calls an operation on an item in place with a function that succeeds,
// fails or panics. It reports whether the operation was carried out.
func (m *queueModel[T]) inPlace(want error, op func(outcome error) error) bool {
	how := rapid.SampledFrom([]string{"succeeds", "fails", "panics"}).Draw(m.t, "fn")
	switch {
	case want != nil || how == "succeeds":
		return !m.isError(want, op(nil))
	case how == "fails":
		require.Equal(m.t, errNot, op(errNot))
	default:
		require.Panics(m.t, func() { _ = op(errPanics) })
	}
	return false
}

var errPanics = fmt.Errorf("%w: it is to panic", errNot)

// does is the end of a function that is to have an outcome.
func does(outcome error) error {
	if outcome == errPanics {
		panic(outcome)
	}
	return outcome
}

func (m *queueModel[T]) putFunc(*rapid.T) {
	v := m.item.Draw(m.t, "item")
	ctx, full := m.one(ErrFull)
	q := m.any()
	if m.inPlace(m.wantPut(v, full), func(outcome error) error {
		if q, ok := any(q).(*Queue[[]byte]); ok {
			message := any(v).([]byte)
			return PutBytesFunc(ctx, q, len(message), func(item []byte) error { copy(item, message); return does(outcome) })
		}
		return q.PutFunc(ctx, func(item *T) error { *item = v; return does(outcome) })
	}) {
		m.didPut(v)
	}
}

func (m *queueModel[T]) getFunc(*rapid.T) {
	ctx, empty := m.one(ErrEmpty)
	q := m.any()
	var v T
	if m.inPlace(m.wantGet(empty), func(outcome error) error {
		if q, ok := any(q).(*Queue[[]byte]); ok {
			return GetBytesFunc(ctx, q, func(item []byte) error { v = any(clone(item)).(T); return does(outcome) })
		}
		return q.GetFunc(ctx, func(item *T) error { v = *item; return does(outcome) })
	}) {
		m.didGet(v)
	}
}

func (m *queueModel[T]) close(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(m.t, "really") > 0 {
		return
	}
	require.NoError(m.t, m.any().Close())
	m.closed = true
}

func (m *queueModel[T]) register(*rapid.T) {
	q := m.any()
	want := error(nil)
	if m.closed {
		want = ErrClosed
	}
	ctx, _ := m.one(nil)
	if !m.isError(want, q.Register(ctx)) {
		m.registrations[q]++
		m.registered = true
	}
}

func (m *queueModel[T]) deregister(*rapid.T) {
	q := m.any()
	if m.registrations[q] == 0 {
		require.Panics(m.t, q.Deregister)
		return
	}
	q.Deregister()
	m.registrations[q]--
}

func (m *queueModel[T]) done(*rapid.T) {
	n := rapid.IntRange(-1, m.inHand+1).Draw(m.t, "n")
	q := m.any()
	if n < 0 || n > m.inHand {
		require.Panics(m.t, func() { q.Done(n) })
		return
	}
	q.Done(n)
	m.inHand -= n
}

func (m *queueModel[T]) join(*rapid.T) {
	want := error(nil)
	if m.inHand+len(m.items) > 0 {
		want = context.Canceled
	}
	m.isError(want, m.any().Join(expired()))
}

func (m *queueModel[T]) open(*rapid.T) {
	if len(m.handles) == 4 {
		return
	}
	message, err := wire.Encode(reflect.ValueOf(m.any()))
	require.NoError(m.t, err)
	defer message.Close()
	var q *Queue[T]
	require.NoError(m.t, wire.Decode(message, reflect.ValueOf(&q).Elem()))
	m.handles = append(m.handles, q)
}

func (m *queueModel[T]) detach(*rapid.T) {
	if len(m.handles) == 1 {
		return
	}
	i := rapid.IntRange(0, len(m.handles)-1).Draw(m.t, "which")
	q := m.handles[i]
	require.NoError(m.t, q.Detach())
	require.ErrorIs(m.t, q.Put(atOnce, m.item.Draw(m.t, "item")), ErrClosed)
	m.handles = append(m.handles[:i:i], m.handles[i+1:]...)
	delete(m.registrations, q)
}

func (m *queueModel[T]) check(*rapid.T) {
	for _, q := range m.handles {
		require.Equal(m.t, len(m.items), q.Len())
		require.Equal(m.t, m.capacity, q.Cap())
	}
}

// Random sequences of all operations, on several handles, do what the model
// does.
func TestQueueModel(t *testing.T) {
	t.Run("slots", rapid.MakeCheck(func(t *rapid.T) {
		modelled(t, rapid.Map(rapid.Byte(), func(b byte) colour { return colour{b, b + 1, b + 2} }), nil)
	}))
	t.Run("bytes", rapid.MakeCheck(func(t *rapid.T) {
		modelled(t, rapid.SliceOfN(rapid.Byte(), 0, 150), func(b []byte) int { return len(b) })
	}))
	t.Run("texts", rapid.MakeCheck(func(t *rapid.T) {
		modelled(t, rapid.Map(rapid.IntRange(0, 150), func(n int) string { return strings.Repeat("t", n) }), func(s string) int { return len(s) })
	}))
}

func modelled[T any](t *rapid.T, item *rapid.Generator[T], size func(T) int) {
	m := &queueModel[T]{t: t, item: item, size: size, capacity: rapid.IntRange(1, 9).Draw(t, "capacity"), registrations: map[*Queue[T]]int{}}
	bytes := 64 << rapid.IntRange(0, 3).Draw(t, "bytes")
	m.units = bytes / 8
	q, err := NewQueue[T](m.capacity, &QueueOptions{Bytes: bytes, Tasks: true})
	require.NoError(t, err)
	m.handles = []*Queue[T]{q}
	defer func() {
		for _, q := range m.handles {
			require.NoError(t, q.Detach())
		}
	}()
	actions := map[string]func(*rapid.T){
		"": m.check, "put": m.put, "put all": m.putAll, "get": m.get, "get up to": m.getUpTo, "close": m.close,
		"register": m.register, "deregister": m.deregister, "done": m.done, "join": m.join, "open": m.open, "detach": m.detach,
	}
	var none T
	if _, text := any(none).(string); !text {
		actions["put in place"], actions["get in place"] = m.putFunc, m.getFunc
	}
	t.Repeat(actions)
}
