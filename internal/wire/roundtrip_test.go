package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	type inOrder struct {
		_ struct{} `cbor:",toarray"`
		A []int
		B *string
	}
	type numbered struct {
		A string `cbor:"1,keyasint"`
		B string `cbor:"-1,keyasint"`
		C string `json:"c,omitempty"`
		D *int   `json:",omitempty"`
		E []int  `json:",omitzero"`
	}
	text, one, huge := "\xff\xfe invalid", 1, new(big.Int).Lsh(big.NewInt(-3), 200)
	for _, v := range []any{
		true, int8(-128), uint64(math.MaxUint64), int64(math.MinInt64), 1.5, float32(0.1), complex(1, -2),
		"", text, string(make([]byte, 1000)), struct{}{}, [0]string{}, [2]struct{}{}, hidden{1, 2}, [3]bool{true, false, true},
		[]int64(nil), []int64{}, []int64{1, -2, 3}, []struct{}{{}, {}}, []hidden{{1, 2}}, []bool{true}, [][0]int{{}, {}, {}},
		[]byte(nil), []byte{}, []byte("bytes"),
		[]string(nil), []string{}, []string{"", text}, [][]byte{nil, {}, {1}}, [][]int{nil, {}, {1}},
		map[string]int(nil), map[string]int{}, map[string]int{text: 1, "": 2}, map[string]string{"a": "b"},
		map[[2]string][]int{{"a", "b"}: nil, {"c"}: {}}, map[outer]*int{{Name: "n"}: nil, {base{"i"}, "n"}: &one},
		map[float64]string{math.Inf(-1): "", 0.5: "x"}, map[bool]map[int8]uint8{true: {-1: 255}}, map[netip.Addr]string{netip.MustParseAddr("fe80::1%lo"): "x"},
		&text, (*string)(nil), []*int{nil, &one}, &[2]string{"a"}, &outer{base{"i"}, "n"},
		outer{base{"i"}, "n"}, inOrder{}, inOrder{A: []int{}, B: &text}, numbered{}, numbered{"a", "b", "c", &one, []int{}},
		*big.NewInt(0), big.NewInt(math.MinInt64), huge, []*big.Int{nil, huge}, (*big.Int)(nil),
		json.RawMessage("{}"), json.Number("1"), time.Second,
		time.Time{}, time.Unix(-1, 999_999_999).UTC(), []time.Time{{}, time.Unix(1, 1).UTC()},
		pairs{[]string{"x"}}, []*pairs{nil, {}, {[]string{"x"}}}, url.URL{Scheme: "http", Host: "h", User: url.UserPassword("a", "b")},
		&tree{Name: "root", Kids: []tree{{Name: "kid"}}, ByName: map[string]*tree{"nil": nil, "x": {Kids: []tree{}}}},
		list{nil, {}, {{}}}, names{"a": nil, "b": {}},
	} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) { require.Equal(t, v, roundTrip(t, v)) })
	}
}

func TestRoundTripNaN(t *testing.T) {
	type both struct {
		F64 []float64
		F32 []float32
		P   *int
	}
	nan64, nan32 := math.Float64frombits(0xfff8000000000123), math.Float32frombits(0xffc00123)
	got := roundTrip(t, both{F64: []float64{nan64, math.Copysign(0, -1)}, F32: []float32{nan32}}).(both)
	require.Equal(t, math.Float64bits(nan64), math.Float64bits(got.F64[0]))
	require.True(t, math.Signbit(got.F64[1]))
	require.Equal(t, math.Float32bits(nan32), math.Float32bits(got.F32[0]))
}

func TestRoundTripTime(t *testing.T) {
	for _, in := range []time.Time{
		time.Now(),
		time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("here", -(3*3600+30*60))),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		for _, got := range []time.Time{
			roundTrip(t, in).(time.Time),
			*roundTrip(t, &in).(*time.Time),
			roundTrip(t, stamp{in}).(stamp).Time,
		} {
			require.True(t, in.Equal(got), "%v came back as %v", in, got)
			_, want := in.Zone()
			_, offset := got.Zone()
			require.Equal(t, want, offset)
		}
	}
}

func TestValuesThatDoNotTravel(t *testing.T) {
	old := time.Date(1890, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 3208))
	loop := &tree{}
	loop.Left = &tree{Right: loop}
	ring := make(list, 1)
	ring[0] = ring
	self := names{}
	self["self"] = self
	chain := func(n int) *tree {
		var top *tree
		for range n {
			top = &tree{Left: top}
		}
		return top
	}
	require.Equal(t, chain(maxDepth), roundTrip(t, chain(maxDepth)))
	for _, v := range []any{loop, *loop, ring, self, []*tree{loop}, chain(maxDepth + 1)} {
		_, err := Encode(reflect.ValueOf(v))
		require.ErrorIs(t, err, ErrDepth)
		require.ErrorContains(t, err, fmt.Sprintf("encode %T", v))
	}
	for want, v := range map[string]any{
		"encode []*time.Time: a pointer to the zero time.Time comes back as nil: send nil, or the time by value": []*time.Time{{}},
		"is 3208 s off UTC, which is not a whole minute: send it in UTC":                                         map[string]time.Time{"x": old},
		"year outside of range": time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		_, err := Encode(reflect.ValueOf(v))
		require.ErrorContains(t, err, want)
	}

	// What a tag leaves out is not walked through.
	up := tree{Name: "a"}
	up.Kids = []tree{{Name: "b", Parent: &up}}
	require.Equal(t, tree{Name: "a", Kids: []tree{{Name: "b"}}}, roundTrip(t, up))
}

// TestRandomTypes makes types that Check was not written for, and values of
// those it accepts: they must come back equal.
func TestRandomTypes(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	accepted := 0
	for range 3000 {
		typ := randomType(r, 4)
		if Check(typ) != nil {
			continue
		}
		accepted++
		for range 3 {
			v := reflect.New(typ).Elem()
			fill(r, v, 3)
			m, err := Encode(v)
			require.NoError(t, err, "%v", typ)
			got := reflect.New(typ).Elem()
			require.NoError(t, Decode(m, got), "%v", typ)
			require.Equal(t, v.Interface(), got.Interface(), "%v", typ)
		}
	}
	require.Greater(t, accepted, 500)
}

var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[uint8](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[complex64](), reflect.TypeFor[any](), reflect.TypeFor[chan int](), reflect.TypeFor[uintptr](), reflect.TypeFor[hidden](),
	reflect.TypeFor[Base](), reflect.TypeFor[outer](), reflect.TypeFor[tree](), reflect.TypeFor[list](), reflect.TypeFor[netip.Addr](),
	reflect.TypeFor[time.Duration](), reflect.TypeFor[pairs](), reflect.TypeFor[half](), reflect.TypeFor[big.Int](),
}

var tags = []reflect.StructTag{
	"", "", "", "", `json:"b"`, `cbor:"B"`, `cbor:"1,keyasint"`, `json:",omitempty"`, `cbor:",omitzero"`, `json:"-"`, `json:"-,"`,
}

func randomType(r *rand.Rand, depth int) reflect.Type {
	kind := r.Intn(9)
	if depth == 0 {
		kind = 8
	}
	elem := func() reflect.Type { return randomType(r, depth-1) }
	switch kind {
	case 0:
		return reflect.SliceOf(elem())
	case 1:
		return reflect.ArrayOf(r.Intn(3), elem())
	case 2:
		if key := elem(); key.Comparable() {
			return reflect.MapOf(key, elem())
		}
		return reflect.MapOf(reflect.TypeFor[string](), elem())
	case 3:
		return reflect.PointerTo(elem())
	case 4, 5, 6:
		fields := make([]reflect.StructField, r.Intn(4))
		for i := range fields {
			fields[i] = reflect.StructField{Name: string(rune('A' + i)), Type: elem(), Tag: tags[r.Intn(len(tags))]}
			if r.Intn(8) == 0 { // of the named types reflect can embed those without methods
				fields[i].Name, fields[i].Type, fields[i].Anonymous = "Base", reflect.TypeFor[Base](), true
				fields = fields[:i+1]
				break
			}
		}
		return reflect.StructOf(fields)
	default:
		return leaves[r.Intn(len(leaves))]
	}
}

// fill sets v to a random value; depth bounds recursive types.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	var p any
	if v.CanInterface() { // not an embedded struct of an unexported type
		p = v.Addr().Interface()
	}
	switch p := p.(type) {
	case *big.Int:
		p.Lsh(big.NewInt(r.Int63()-math.MaxInt64/2), uint(r.Intn(100)))
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{byte(r.Intn(256))})
		return
	case *pairs:
		p.S = []string{"x"}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.Intn(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.Intn(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.Intn(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(float32(r.NormFloat64())))
	case reflect.Complex64, reflect.Complex128:
		v.SetComplex(complex(r.Float64(), 1))
	case reflect.String:
		b := make([]byte, r.Intn(40))
		r.Read(b)
		v.SetString(string(b))
	case reflect.Pointer:
		if depth > 0 && r.Intn(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth-1)
		}
	case reflect.Slice:
		if n := r.Intn(4) - 1; n >= 0 && depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(r, v.Index(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth)
		}
	case reflect.Map:
		if n := r.Intn(4) - 1; n >= 0 && depth > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(r, key, depth-1)
				fill(r, elem, depth-1)
				v.SetMapIndex(key, elem)
			}
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			if fv := v.FieldByIndex(f.Index); travels(f) && (fv.CanSet() || f.Anonymous) {
				fill(r, fv, depth)
			}
		}
	}
}
