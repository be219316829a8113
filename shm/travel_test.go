package shm

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// sent encodes v as an argument is encoded.
func sent(t testing.TB, v any) *wire.Message {
	t.Helper()
	m, err := wire.Encode(reflect.ValueOf(v))
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

// roundTrip returns what becomes of v on its way to another process.
func roundTrip[T any](t testing.TB, v T) (got T) {
	t.Helper()
	require.NoError(t, wire.Decode(sent(t, v), reflect.ValueOf(&got).Elem()))
	return got
}

type job struct {
	Name   string
	Array  *Array[int32]
	Nested []struct{ Value *Value[point] }
	Map    map[string]*Array[byte]
	None   *Array[int32]
	Again  *Array[int32]
}

func TestObjectsTravelAnywhereInAValue(t *testing.T) {
	proctest.NoLeaks(t)
	array := testArray[int32](t, nil, 2, 3)
	value := testValue(t, point{X: 1}, nil)
	text := testArray(t, &Options{NoLock: true}, []byte("text")...)
	want := job{
		Name: "job", Array: array, Again: array,
		Nested: []struct{ Value *Value[point] }{{}, {value}},
		Map:    map[string]*Array[byte]{"text": text},
	}
	require.Len(t, sent(t, want).Files, 3, "an object that occurs twice costs one descriptor")
	got := roundTrip(t, want)
	require.NotSame(t, array, got.Array)
	require.Nil(t, got.None)
	require.Nil(t, got.Nested[0].Value)
	require.Same(t, array.Locker(), got.Array.Locker())
	require.Nil(t, got.Map["text"].Locker())

	got.Again.Set(1, 30)
	require.Equal(t, []int32{2, 30}, array.Copy())
	require.Same(t, &array.View()[0], &got.Array.View()[0])
	got.Nested[1].Value.Do(func(p *point) { p.Y = 2 })
	require.Equal(t, point{X: 1, Y: 2}, value.Get())
	require.Equal(t, "text", string(Text(got.Map["text"])))

	// They are closed one by one; what is still open stays good.
	require.NoError(t, got.Array.Close())
	require.ErrorIs(t, got.Array.Close(), ErrClosed)
	require.EqualValues(t, 30, got.Again.At(-1))
	for _, o := range []interface{ Close() error }{got.Again, got.Nested[1].Value, got.Map["text"]} {
		require.NoError(t, o.Close())
	}
	require.EqualValues(t, 30, array.At(-1))
}

func TestEmptyArrayTravels(t *testing.T) {
	proctest.NoLeaks(t)
	for _, opts := range []*Options{nil, {NoLock: true}} {
		got := roundTrip(t, testArray[int32](t, opts))
		require.Zero(t, got.Len())
		require.Empty(t, got.Copy())
		require.NoError(t, got.Close())
	}
}

func TestOnlyInMessages(t *testing.T) {
	array, value := testArray[int32](t, nil, 1), testValue(t, 1, nil)
	for name, fn := range map[string]func() error{
		"array":           func() error { _, err := array.MarshalCBOR(); return err },
		"value":           func() error { _, err := value.MarshalCBOR(); return err },
		"cbor itself":     func() error { _, err := cbor.Marshal([]any{array}); return err },
		"receiving array": func() error { return new(Array[int32]).UnmarshalCBOR([]byte{0x85, 0, 0, 0, 0, 0xf4}) },
		"receiving value": func() error { return new(Value[int32]).UnmarshalCBOR([]byte{0x85, 0, 0, 0, 0, 0xf4}) },
	} {
		t.Run(name, func(t *testing.T) {
			err := fn()
			require.ErrorIs(t, err, wire.ErrNoMessage)
			require.ErrorContains(t, err, "shared objects travel only in arguments and results")
		})
	}
}

func TestClosedObjectsDoNotTravel(t *testing.T) {
	proctest.NoLeaks(t)
	a, err := NewArray[int32](1, nil)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	open := testArray[int32](t, nil, 1)
	for _, v := range []any{a, []*Array[int32]{open, a}} { // the descriptor of the open one must not leak
		_, err = wire.Encode(reflect.ValueOf(v))
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorContains(t, err, `shm: array "int32": hand over: closed`)
	}
}

func TestObjectsDoNotTravelByValue(t *testing.T) {
	require.ErrorContains(t, wire.Check(reflect.TypeFor[struct{ A Array[int32] }]()), "use *shm.Array[int32]")
	require.ErrorContains(t, wire.Check(reflect.TypeFor[struct{ V Value[int32] }]()), "use *shm.Value[int32]")
	require.NoError(t, wire.Check(reflect.TypeFor[job]()))
}

// received decodes m as a *T.
func received[T any](m *wire.Message) error {
	var o *T
	return wire.Decode(m, reflect.ValueOf(&o).Elem())
}

// Another kind of object, or other elements, are refused. The names of types do
// not count: two programs have different ones.
func TestReceiveRefusesOtherTypes(t *testing.T) {
	proctest.NoLeaks(t)
	numbers := sent(t, testArray[int32](t, nil, 1))
	single := sent(t, testValue[int32](t, 1, nil))
	points := sent(t, testArray(t, nil, point{}))
	type renamed struct {
		X, Y int32
		Tag  [3]byte
		On   bool
	}
	type reordered struct {
		Y, X int32
		Tag  [3]byte
		On   bool
	}
	for name, err := range map[string]error{
		"unsigned":   received[Array[uint32]](numbers),
		"float":      received[Array[float32]](numbers),
		"wider":      received[Array[int64]](numbers),
		"value":      received[Value[int32]](numbers),
		"array":      received[Array[int32]](single),
		"fields":     received[Array[reordered]](points),
		"array of 1": received[Array[[1]int32]](numbers),
	} {
		require.ErrorIs(t, err, ErrLayout, name)
	}
	require.ErrorContains(t, received[Array[uint32]](numbers), `shm: array "int32": attach: layout does not match: expected array of uint32, found array of other elements, of 4 bytes`)
	require.Len(t, mappings.byKey, 3)

	var got *Array[renamed]
	require.NoError(t, wire.Decode(points, reflect.ValueOf(&got).Elem()))
	require.NoError(t, got.Close())
}

var worker = proctest.Register("worker", func(h *proctest.Helper) error {
	j, err := take[job](h)
	if err != nil {
		return err
	}
	j.Array.Do(func(v []int32) {
		for i := range v {
			v[i] *= v[i]
		}
	})
	p := j.Nested[1].Value
	p.Do(func(p *point) { p.X, p.On = p.X+1, true })
	h.Say(fmt.Sprintf("%s %s %v %v", j.Name, Text(j.Map["text"]), j.None == nil, &j.Again.View()[0] == &j.Array.View()[0]))
	return SetText(j.Map["text"], []byte("good"))
	// Nothing is closed: the end of a process closes it.
})

func TestObjectsTravelToAnotherProcess(t *testing.T) {
	proctest.NoLeaks(t)
	array := testArray[int32](t, nil, 2, 3, 6)
	value := testValue(t, point{X: 1}, nil)
	text := testArray(t, nil, []byte("well")...)
	p := hand(t, worker, job{
		Name: "job", Array: array, Again: array,
		Nested: []struct{ Value *Value[point] }{{}, {value}},
		Map:    map[string]*Array[byte]{"text": text},
	})
	p.Expect(t, "job well true true")
	require.NoError(t, p.Wait(t))
	require.Equal(t, []int32{4, 9, 36}, array.Copy())
	require.Equal(t, point{X: 2, On: true}, value.Get())
	require.Equal(t, "good", string(Text(text)))
}
