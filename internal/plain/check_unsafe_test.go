package plain

import (
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

type point struct{ X, Y float64 }

type fine struct {
	_     [0]func()
	On    bool
	Grid  [3][4]point
	Count atomic.Int64
	Flag  atomic.Bool
	c     complex128
	empty struct{}
}

type inner struct {
	ID   int32
	Name string
}

type config struct {
	Size  int64
	Inner [2]inner
}

type mutexDeep struct{ A [2]struct{ Mu sync.Mutex } }

func TestCheckAccepts(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[float32](),
		reflect.TypeFor[complex64](), reflect.TypeFor[struct{}](), reflect.TypeFor[[0]string](),
		reflect.TypeFor[[1 << 40]int32](), reflect.TypeFor[fine](), reflect.TypeFor[atomic.Uint32](),
	} {
		require.NoError(t, Check(typ), typ)
		require.NoError(t, Check(typ), "again, from the cache: %v", typ)
	}
}

func TestCheckRefuses(t *testing.T) {
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[config]():                          "config.Inner[].Name is a string: it holds a pointer",
		reflect.TypeFor[*int]():                            "*int is a pointer (*int): it holds a pointer",
		reflect.TypeFor[map[int]int]():                     "map[int]int is a map (map[int]int): it holds a pointer",
		reflect.TypeFor[[]int]():                           "[]int is a slice ([]int): it holds a pointer",
		reflect.TypeFor[chan int]():                        "chan int is a chan (chan int): it holds a pointer",
		reflect.TypeFor[func()]():                          "func() is a func (func()): it holds a pointer",
		reflect.TypeFor[error]():                           "error is an interface (error): it holds a pointer",
		reflect.TypeFor[unsafe.Pointer]():                  "Pointer is an unsafe.Pointer: it holds a pointer",
		reflect.TypeFor[uintptr]():                         "uintptr is a uintptr: an address means nothing in another process",
		reflect.TypeFor[mutexDeep]():                       "mutexDeep.A[].Mu is a sync.Mutex: it works inside one process only; use psync.Mutex (github.com/go-multiproc/multiproc/sync)",
		reflect.TypeFor[sync.WaitGroup]():                  "WaitGroup is a sync.WaitGroup: it works inside one process only; use psync.WaitGroup (github.com/go-multiproc/multiproc/sync)",
		reflect.TypeFor[sync.Pool]():                       "Pool is a sync.Pool: it works inside one process only",
		reflect.TypeFor[atomic.Uintptr]():                  "Uintptr is an atomic.Uintptr: an address means nothing in another process",
		reflect.TypeFor[atomic.Value]():                    "Value is an atomic.Value: it holds a pointer",
		reflect.TypeFor[struct{ P atomic.Pointer[int] }](): "struct { P atomic.Pointer[int] }.P is an atomic.Pointer[int]: it holds a pointer",
	} {
		require.EqualError(t, Check(typ), want)
		require.EqualError(t, Check(typ), want, "again, from the cache")
	}
}

func TestPrimitive(t *testing.T) {
	const here = "github.com/go-multiproc/multiproc/internal/plain" // stands in for package sync
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[point]():                               "point",
		reflect.TypeFor[[4]point]():                            "[4]plain.point[]",
		reflect.TypeFor[struct{ A [2]struct{ B, C point } }](): "struct { A [2]struct { B plain.point; C plain.point } }.A[].B",
		reflect.TypeFor[struct{ P *point }]():                  "",
		reflect.TypeFor[struct{ N int }]():                     "",
		reflect.TypeFor[int]():                                 "",
		reflect.TypeFor[struct {
			M map[point]point
			S []point
		}](): "",
	} {
		require.Equal(t, want, primitive(typ, Root(typ), here))
	}
	require.Empty(t, Primitive(reflect.TypeFor[config]()))
	require.Empty(t, Primitive(reflect.TypeFor[config]()), "again, from the cache")
}

func TestFingerprint(t *testing.T) {
	type same struct{ X, Y float64 }
	base := Fingerprint(reflect.TypeFor[point]())
	require.Equal(t, base, Fingerprint(reflect.TypeFor[same]()), "names of types do not count")
	require.Equal(t, uint64(0x34b92c4726ceec55), base, "other programs have computed this value already")

	seen := map[uint64]reflect.Type{base: reflect.TypeFor[point]()}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[struct{ Y, X float64 }](),
		reflect.TypeFor[struct{ X float64 }](),
		reflect.TypeFor[struct{ X, Y, Z float64 }](),
		reflect.TypeFor[struct{ X, Y int64 }](),
		reflect.TypeFor[struct{ XY [2]float64 }](),
		reflect.TypeFor[struct {
			X float64
			_ int64
			Y float64
		}](),
		reflect.TypeFor[[2]float64](), reflect.TypeFor[[3]float64](), reflect.TypeFor[[2]struct{ X float64 }](),
		reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[uint64](), reflect.TypeFor[struct{}](),
		reflect.TypeFor[[0]int](), reflect.TypeFor[[0]int64](),
	} {
		sum := Fingerprint(typ)
		require.Nil(t, seen[sum], "%v and %v", typ, seen[sum])
		seen[sum] = typ
	}
}

func TestDescribe(t *testing.T) {
	type name string
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[int]():    "an int",
		reflect.TypeFor[uint8]():  "a uint8",
		reflect.TypeFor[name]():   "a string (plain.name)",
		reflect.TypeFor[[2]int](): "an array ([2]int)",
		reflect.TypeFor[any]():    "an interface (interface {})",
		reflect.TypeFor[point]():  "a plain.point",
		reflect.TypeFor[*point](): "a pointer (*plain.point)",
	} {
		require.Equal(t, want, Describe(typ))
	}
}

func BenchmarkCheck(b *testing.B) {
	typ := reflect.TypeFor[fine]()
	for b.Loop() {
		if err := Check(typ); err != nil {
			b.Fatal(err)
		}
	}
}
