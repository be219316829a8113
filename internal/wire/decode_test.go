package wire

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDecodeRefuses(t *testing.T) {
	type flags struct {
		N  int32
		On [2]struct{ B bool }
	}
	type named struct {
		P    *int
		Name string
	}
	count := func(n uint64, elems ...byte) []byte {
		return append(binary.NativeEndian.AppendUint64(nil, n), elems...)
	}
	for _, tt := range []struct {
		typ  reflect.Type
		data []byte
		want string
	}{
		{reflect.TypeFor[int32](), []byte("12345"), "decode int32: malformed message: 5 bytes, want 4"},
		{reflect.TypeFor[bool](), []byte{2}, "decode bool: malformed message: a bool that is neither 0 nor 1"},
		{reflect.TypeFor[flags](), []byte{9, 9, 9, 9, 1, 2, 0, 0}, "a bool that is neither 0 nor 1"},
		{reflect.TypeFor[[]flags](), count(1, 9, 9, 9, 9, 0, 255, 0, 0), "a bool that is neither 0 nor 1"},
		{reflect.TypeFor[[]int32](), []byte("123"), "3 bytes are too few for a slice"},
		{reflect.TypeFor[[]int32](), count(2, 1, 2, 3, 4), "4 bytes for 2 elements"},
		{reflect.TypeFor[[]int32](), count(1 << 62), "0 bytes for 4611686018427387904 elements"},
		{reflect.TypeFor[[]struct{}](), count(1 << 63), "elements"},
		{reflect.TypeFor[[]string](), nil, "EOF"},
		{reflect.TypeFor[[]string](), []byte{0x81}, "unexpected EOF"},
		{reflect.TypeFor[[]string](), []byte{0x9b, 0x7f, 255, 255, 255, 255, 255, 255, 255}, "exceeded max number of elements"},
		{reflect.TypeFor[[]string](), []byte{0x80, 0x80}, "extraneous data"},
		{reflect.TypeFor[[]string](), []byte{0x81, 0x01}, "cannot unmarshal"},
		{reflect.TypeFor[map[string]int](), []byte("\xa2\x61a\x01\x61a\x02"), "duplicate map key"},
		{reflect.TypeFor[named](), []byte("\xa1\x64name\x61x"), "unknown field"},
	} {
		v := reflect.New(tt.typ).Elem()
		require.ErrorContains(t, Decode(&Message{Data: tt.data}, v), tt.want)
	}
}

// Decode does not add to what v held before.
func TestDecodeOverwrites(t *testing.T) {
	one := 1
	full := tree{Name: "full", Kids: []tree{{}}, ByName: map[string]*tree{"x": nil}}
	for to, in := range map[any]any{
		&full:                       tree{Left: &tree{}},
		&map[string]*int{"a": &one}: map[string]*int{"b": nil},
		&[]time.Time{time.Now()}:    []time.Time{{}},
		&[]int{1}:                   []int(nil),
	} {
		m, err := Encode(reflect.ValueOf(in))
		require.NoError(t, err)
		v := reflect.ValueOf(to).Elem()
		require.NoError(t, Decode(m, v))
		require.Equal(t, in, v.Interface())
	}
}

// Nor does it leave that there when it fails, be it because of the type.
func TestDecodeFails(t *testing.T) {
	for _, to := range []any{new(make(chan int)), new(any(1)), &tree{Name: "full"}, new("text"), new(7)} {
		v := reflect.ValueOf(to).Elem()
		if Decode(&Message{Data: []byte{0xff}}, v) != nil {
			require.True(t, v.IsZero(), "%T", to)
		}
	}
}

// A message shares no memory with the values on either side.
func TestMessageIsACopy(t *testing.T) {
	for _, in := range []any{[]int32{1, 2}, []byte("ab"), "ab", [2]byte{1, 2}, [][]byte{[]byte("ab")}} {
		m, err := Encode(reflect.ValueOf(in))
		require.NoError(t, err)
		v := reflect.New(reflect.TypeOf(in)).Elem()
		require.NoError(t, Decode(m, v))
		clear(m.Data)
		require.Equal(t, in, v.Interface())
	}
}

// What nests as deeply as the decoder allows ends in an error or a value.
func TestDecodeDeep(t *testing.T) {
	for _, depth := range []int{2 * maxDepth, 2*maxDepth + 1} {
		data := append(bytes.Repeat([]byte{0x81}, depth-1), 0x80)
		var got list
		err := Decode(&Message{Data: data}, reflect.ValueOf(&got).Elem())
		require.Equal(t, depth > 2*maxDepth, err != nil, "%v", err)
	}
}

// fuzzed are types of every kind of form.
var fuzzed = []reflect.Type{
	reflect.TypeFor[hidden](), reflect.TypeFor[[]hidden](), reflect.TypeFor[[]struct{}](), reflect.TypeFor[[]bool](), reflect.TypeFor[string](),
	reflect.TypeFor[tree](), reflect.TypeFor[list](), reflect.TypeFor[names](), reflect.TypeFor[[]*outer](), reflect.TypeFor[[][]byte](),
	reflect.TypeFor[map[[2]string][]time.Time](), reflect.TypeFor[[]big.Int](), reflect.TypeFor[[]*box](), reflect.TypeFor[map[float64]*pairs](),
}

// FuzzDecode: whatever arrives ends in an error or in a value that travels on.
func FuzzDecode(f *testing.F) {
	for i, typ := range fuzzed {
		m, err := Encode(reflect.Zero(typ))
		require.NoError(f, err)
		f.Add(byte(i), m.Data)
	}
	f.Add(byte(5), []byte("\xa4\x64Name\x61x\x64Left\xa0\x64Kids\x81\xa0\x66ByName\xa1\x61a\xa0"))
	f.Add(byte(6), []byte{0x9f, 0x9b, 0, 0, 0, 0, 0x7f, 255, 255, 255, 0xff})
	f.Add(byte(11), []byte{0x82, 0xc2, 0x41, 1, 0x3b, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, i byte, data []byte) {
		typ := fuzzed[int(i)%len(fuzzed)]
		v := reflect.New(typ).Elem()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Decode(&Message{Data: data}, v)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20+2000*len(data)), "of %d bytes", len(data))
		if err != nil || typ == reflect.TypeFor[[]*box]() {
			return
		}
		m, err := Encode(v)
		if err != nil {
			return // a year 10000, or deeper than maxDepth
		}
		again := reflect.New(typ).Elem()
		require.NoError(t, Decode(m, again))
	})
}
