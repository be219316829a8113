package shm

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

type paddedItem struct {
	A int8
	B int64
	C bool
}

type colour [3]byte

type three struct{ X, Y, Z float64 }

type family struct {
	Name string
	Kids []*family
	Born time.Time
	Attr map[string][]int32
	N    *int
}

type namedBytes []byte

// Items come out as they went in: in slots, where they need no encoding, else as
// records.
func TestQueueCarries(t *testing.T) {
	proctest.NoLeaks(t)
	n := 7
	const slots, records = true, false
	carries(t, slots, true, false)
	carries(t, slots, byte(1), 255)
	carries(t, slots, math.MinInt, math.MaxInt)
	carries(t, slots, math.Inf(-1), math.SmallestNonzeroFloat64)
	carries(t, slots, complex(1, -2))
	carries(t, slots, colour{1, 2, 3}, colour{255, 254, 253}, colour{})
	carries(t, slots, three{1, 2, 3}, three{Z: -1})
	carries(t, slots, paddedItem{1, 2, true}, paddedItem{-1, math.MaxInt64, false})
	carries(t, slots, [5]uint16{1, 2, 3, 4, 5})
	carries(t, slots, [1000]int64{0: 1, 999: 2})
	carries(t, slots, time.Second)

	carries(t, records, "", "text", "\x00\xff\xfe", strings.Repeat("long", 10_000))
	carries(t, records, []byte{}, []byte("bytes"), make([]byte, 100_000))
	carries(t, records, namedBytes(nil), namedBytes{}, namedBytes("named"))
	carries(t, records, []string(nil), []string{}, []string{"a", "", "c"})
	carries(t, records, []int32(nil), []int32{}, []int32{1, 2, 3})
	carries(t, records, []paddedItem{{1, 2, true}, {}}, nil)
	carries(t, records, map[string]int(nil), map[string]int{}, map[string]int{"a": 1, "": -1})
	carries(t, records, nil, &n)
	carries(t, records, nil, big.NewInt(math.MinInt64))
	carries(t, records, time.Time{}, time.Date(1990, 11, 1, 2, 3, 4, 5, time.UTC))
	carries(t, records, struct{}{})
	carries(t, records, [0]int{})
	carries(t, records, struct {
		A string
		B []string
	}{A: "a"})
	carries(t, records, nil, &family{
		Name: "root", N: &n, Born: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		Kids: []*family{{Name: "kid", Attr: map[string][]int32{"x": {1, 2}, "none": nil}}, nil},
	})
}

func carries[T any](t *testing.T, slots bool, values ...T) {
	q := testQueue[T](t, 3, nil)
	require.Equal(t, slots, q.slots != nil, "%s", q)
	for range 5 {
		for _, v := range values {
			require.NoError(t, q.Put(t.Context(), v))
			got, err := q.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, v, got)
		}
		n, err := q.PutAll(t.Context(), values[:min(3, len(values))])
		require.NoError(t, err)
		some := make([]T, n+1)
		n, err = q.GetUpTo(t.Context(), some)
		require.NoError(t, err)
		require.Equal(t, values[:n], some[:n])
	}
}

// What is put is copied: the item and the value have nothing in common.
func TestQueueCopies(t *testing.T) {
	q := testQueue[[]byte](t, 2, nil)
	mine := []byte("first")
	putNow(t, q, mine)
	copy(mine, "other")
	putNow(t, q, mine)
	first := getNow(t, q)
	require.Equal(t, "first", string(first))
	copy(first, "xxxxx")
	require.Equal(t, "other", string(getNow(t, q)))
	require.Equal(t, "other", string(mine))
}

// An item of bytes is a message of some length: nil is one of none.
func TestQueueOfNilBytes(t *testing.T) {
	q := testQueue[[]byte](t, 1, nil)
	putNow(t, q, nil)
	require.Equal(t, 1, q.Len())
	require.Equal(t, []byte{}, getNow(t, q))
}

type holder struct {
	Name  string
	Inner []struct{ Numbers *Array[int] }
}

type withQueue struct{ Q *Queue[int] }

func TestNewQueueRefusesTypes(t *testing.T) {
	proctest.NoLeaks(t)
	refuses[any](t, "interface {} is an interface (interface {}): an interface loses its type on the way")
	refuses[chan int](t, "chan int is a chan (chan int): it means nothing in another process")
	refuses[func()](t, "func() is a func (func()): it means nothing in another process")
	refuses[uintptr](t, "uintptr is a uintptr: it means nothing in another process")
	refuses[struct {
		A struct {
			B []map[string]error
		}
	}](t, ".A.B[][] is an interface (error): an interface loses its type on the way")
	refuses[struct {
		N  int
		Mu sync.Mutex
	}](t, ".Mu is a sync.Mutex: it works inside one process only")
	refuses[struct {
		N  int
		Mu psync.Mutex
	}](t, ".Mu is a sync.Mutex: a primitive that is copied excludes nobody")
	refuses[psync.RMutex](t, "a primitive that is copied excludes nobody")
	refuses[*Array[int]](t, "*shm.Array[int] holds shared objects, which travel over connections only")
	refuses[Array[int]](t, "use *shm.Array[int]")
	refuses[holder](t, "shm.holder holds shared objects")
	refuses[map[string]*Value[int]](t, "map[string]*shm.Value[int] holds shared objects")
	refuses[withQueue](t, "shm.withQueue holds shared objects")
	refuses[*Queue[int]](t, "*shm.Queue[int] holds shared objects")
	require.Empty(t, mappings.byKey)
}

func refuses[T any](t *testing.T, text string) {
	t.Helper()
	_, err := NewQueue[T](1, nil)
	require.ErrorIs(t, err, ErrType)
	require.Regexp(t, `^shm: queue ".*": create: type cannot be shared: `, err.Error())
	require.ErrorContains(t, err, text)
}

// A fragile item breaks on one of its ways.
type fragile struct{ text string }

func (f fragile) MarshalBinary() ([]byte, error) {
	if f.text == "cannot go" {
		return nil, errors.New("it cannot go")
	}
	return []byte(f.text), nil
}

func (f *fragile) UnmarshalBinary(data []byte) error {
	if string(data) == "cannot come" {
		return errors.New("it cannot come")
	}
	f.text = string(data)
	return nil
}

func TestQueueItemThatCannotGo(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[fragile](t, 3, &QueueOptions{Name: "fragile"})
	err := q.TryPut(fragile{"cannot go"})
	require.ErrorContains(t, err, `shm: queue "fragile": put: `)
	require.ErrorContains(t, err, "it cannot go")
	n, err := q.PutAll(t.Context(), []fragile{{"a"}, {"cannot go"}, {"b"}})
	require.ErrorContains(t, err, "it cannot go")
	require.Equal(t, 1, n)
	require.Equal(t, fragile{"a"}, getNow(t, q))
	requireEmpty(t, q)
}

// An item that arrives damaged is gone, and the receiver is told.
func TestQueueItemThatCannotCome(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[fragile](t, 5, &QueueOptions{Name: "fragile"})
	fill := func() { putNow(t, q, fragile{"a"}, fragile{"cannot come"}, fragile{"b"}) }
	requireDamaged := func(err error) {
		t.Helper()
		require.ErrorContains(t, err, `shm: queue "fragile": get: `)
		require.ErrorContains(t, err, "it cannot come")
	}
	fill()
	require.Equal(t, fragile{"a"}, getNow(t, q))
	_, err := q.TryGet()
	requireDamaged(err)
	require.Equal(t, fragile{"b"}, getNow(t, q))
	requireEmpty(t, q)

	fill()
	some := make([]fragile, 3)
	n, err := q.GetUpTo(t.Context(), some)
	requireDamaged(err)
	require.Equal(t, []fragile{{"a"}}, some[:n])
	require.Equal(t, fragile{"b"}, getNow(t, q))

	fill()
	var seen []error
	for _, err := range q.All(t.Context()) {
		seen = append(seen, err)
	}
	require.Len(t, seen, 2, "the error is the last")
	require.NoError(t, seen[0])
	requireDamaged(seen[1])
}

// A cyclic item is refused, and no harm is done.
func TestQueueCyclicItem(t *testing.T) {
	q := testQueue[*family](t, 1, nil)
	f := &family{Name: "own grandfather"}
	f.Kids = []*family{f}
	require.ErrorContains(t, q.TryPut(f), "cyclic")
	putNow(t, q, nil)
	require.Nil(t, getNow(t, q))
}
