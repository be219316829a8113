package wire

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

type (
	hidden     struct{ x, Y int }
	hiddenText struct {
		S string
		x int
	}
	step  struct{ Done chan int }
	job   struct{ Steps []step }
	base  struct{ ID string }
	Base  struct{ ID string }
	outer struct {
		base
		Name string
	}
	half       struct{ S string }
	otherHalf  struct{ S string }
	pairs      struct{ S []string }
	noCodec    struct{ P *int }
	stamp      struct{ time.Time }
	myTime     time.Time
	zeroer     struct{ S string }
	boxed      struct{ *box }
	wrapped    struct{ box }
	boxAndMore struct {
		*box
		N int
	}
	tree struct {
		Name        string
		Left, Right *tree
		Kids        []tree
		ByName      map[string]*tree
		Parent      *tree    `cbor:"-"`
		skip        chan int `cbor:"-"`
	}
	list  []list
	names map[string]names
)

func (half) MarshalBinary() ([]byte, error)     { return nil, nil }
func (*otherHalf) UnmarshalCBOR([]byte) error   { return nil }
func (p pairs) MarshalBinary() ([]byte, error)  { return json.Marshal(p.S) }
func (p *pairs) UnmarshalBinary(b []byte) error { return json.Unmarshal(b, &p.S) }
func (*noCodec) Travels()                       {}
func (zeroer) IsZero() bool                     { return true }

func TestCheckAccepts(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[struct{}](), reflect.TypeFor[hidden](), reflect.TypeFor[[]hidden](),
		reflect.TypeFor[complex128](), reflect.TypeFor[string](), reflect.TypeFor[[]string](), reflect.TypeFor[outer](),
		reflect.TypeFor[*string](), reflect.TypeFor[*time.Time](), reflect.TypeFor[*big.Int](), reflect.TypeFor[stamp](),
		reflect.TypeFor[*wrapped](), reflect.TypeFor[pairs](), reflect.TypeFor[*pairs](), reflect.TypeFor[url.URL](), reflect.TypeFor[*box](),
		reflect.TypeFor[map[string]*box](), reflect.TypeFor[map[netip.Addr]string](), reflect.TypeFor[map[[2]outer]int](),
		reflect.TypeFor[tree](), reflect.TypeFor[list](), reflect.TypeFor[names](), reflect.TypeFor[json.RawMessage](),
		reflect.TypeFor[struct {
			S string `json:"s,omitempty"`
			L []int  `json:"l,omitzero"`
			_ string
			_ struct{} `cbor:",toarray"`
		}](),
		reflect.TypeFor[struct {
			A string    `json:"-" cbor:"a"`
			B string    `json:"-,"`
			T time.Time `json:",omitzero"`
		}](),
	} {
		require.NoError(t, Check(typ), typ)
		require.NoError(t, Check(typ), "again, from the cache: %v", typ)
	}
}

func TestCheckRefuses(t *testing.T) {
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[job]():                  "job.Steps[].Done is a chan (chan int): it means nothing in another process",
		reflect.TypeFor[func()]():               "func() is a func (func()): it means nothing in another process",
		reflect.TypeFor[[]unsafe.Pointer]():     "[]unsafe.Pointer[] is an unsafe.Pointer: it means nothing in another process",
		reflect.TypeFor[uintptr]():              "uintptr is a uintptr: it means nothing in another process",
		reflect.TypeFor[[]any]():                "[]interface {}[] is an interface (interface {}): an interface loses its type on the way",
		reflect.TypeFor[error]():                "error is an interface (error): an interface loses its type on the way",
		reflect.TypeFor[[]*complex64]():         "[]*complex64[] is a complex64: complex numbers travel only in types without pointers",
		reflect.TypeFor[hiddenText]():           `hiddenText.x is unexported: it would be lost; export it, tag it cbor:"-", or give wire.hiddenText MarshalBinary and UnmarshalBinary`,
		reflect.TypeFor[[]*hidden]():            `[]*wire.hidden[].x is unexported: it would be lost; export it, tag it cbor:"-", or give wire.hidden MarshalBinary and UnmarshalBinary`,
		reflect.TypeFor[*regexp.Regexp]():       "*regexp.Regexp.expr is unexported",
		reflect.TypeFor[*big.Float]():           "*big.Float.prec is unexported",
		reflect.TypeFor[[]myTime]():             "[]wire.myTime[].wall is unexported",
		reflect.TypeFor[**string]():             "**string is a pointer (**string): a pointer to nil comes back as nil; leave one level out",
		reflect.TypeFor[struct{ P *[]int }]():   "struct { P *[]int }.P is a pointer (*[]int): a pointer to nil comes back as nil; leave one level out",
		reflect.TypeFor[*map[string]int]():      "a pointer to nil comes back as nil",
		reflect.TypeFor[half]():                 "half is a wire.half: it has MarshalBinary but not UnmarshalBinary",
		reflect.TypeFor[map[string]otherHalf](): "map[string]wire.otherHalf[] is a wire.otherHalf: it has UnmarshalCBOR but not MarshalCBOR",
		reflect.TypeFor[box]():                  "box is a wire.box: a shared object cannot be copied; use *wire.box",
		reflect.TypeFor[[]box]():                "[]wire.box[] is a wire.box: a shared object cannot be copied; use *wire.box",
		reflect.TypeFor[wrapped]():              "wrapped is a wire.wrapped: a shared object cannot be copied; use *wire.wrapped",
		reflect.TypeFor[*noCodec]():             "a shared object needs MarshalCBOR and UnmarshalCBOR",
		reflect.TypeFor[boxed]():                "boxed embeds *wire.box, whose methods would encode it in place of the whole wire.boxed: give the field a name",
		reflect.TypeFor[*boxAndMore]():          "*wire.boxAndMore embeds *wire.box, whose methods would encode it in place of the whole wire.boxAndMore: give the field a name",
		reflect.TypeFor[struct {
			time.Time
			N int
		}](): "embeds time.Time",
		reflect.TypeFor[struct {
			outer struct{ big.Int }
			P     *int
		}](): ".outer is unexported",
		reflect.TypeFor[struct {
			big.Int
			N int
		}](): ".Int.neg is unexported",
		reflect.TypeFor[struct {
			*Base
			N int
		}](): ".Base is a pointer (*wire.Base): an embedded pointer may come back as nil; give the field a name",
		reflect.TypeFor[struct {
			*base
			N int
		}](): ".base is unexported",
		reflect.TypeFor[struct {
			base `cbor:"b"`
			N    int
		}](): ".base is unexported",
		reflect.TypeFor[struct {
			outer
			ID string
		}](): ".outer.base.ID and struct { wire.outer; ID string }.ID have the same name ID: one or both would be lost; give one a cbor tag",
		reflect.TypeFor[struct {
			A string `cbor:"x"`
			B string `json:"x"`
		}](): "have the same name x",
		reflect.TypeFor[struct {
			A string `cbor:"1,keyasint"`
			B string `cbor:"01,keyasint"`
		}](): "have the same number 1",
		reflect.TypeFor[struct {
			A string `cbor:"one,keyasint"`
		}](): `is tagged keyasint, but "one" is no integer`,
		reflect.TypeFor[struct {
			A string `json:"-"`
		}](): `.A is tagged json:"-": it would be lost; add a cbor tag, "-" if that is meant`,
		reflect.TypeFor[struct {
			A []int `json:",omitempty"`
		}](): ".A is tagged omitempty: an empty slice would come back as nil; use omitzero",
		reflect.TypeFor[struct {
			A zeroer `cbor:",omitzero"`
		}](): ".A is tagged omitzero: what its IsZero method calls zero would be lost; leave the option out",
		reflect.TypeFor[map[time.Time]int]():     "map[time.Time]int[key] is a time.Time: as a map key it holds a pointer",
		reflect.TypeFor[map[url.URL]int]():       "as a map key it holds a pointer",
		reflect.TypeFor[map[*int]int]():          "as a map key it holds a pointer",
		reflect.TypeFor[map[any]int]():           "map[interface {}]int[key] is an interface",
		reflect.TypeFor[cbor.Tag]():              "Tag is a cbor.Tag: a type of the encoder itself does not come back as it was",
		reflect.TypeFor[[]atomic.Pointer[int]](): "[]atomic.Pointer[int][] is an atomic.Pointer[int]: an atomic must not be copied",
		reflect.TypeFor[struct {
			S  string
			mu sync.Mutex
		}](): ".mu is a sync.Mutex: it works inside one process only; use psync.Mutex",
		reflect.TypeFor[psync.Mutex]():  "Mutex is a sync.Mutex: a primitive that is copied excludes nobody",
		reflect.TypeFor[*psync.Mutex](): "*sync.Mutex is a sync.Mutex: a primitive that is copied excludes nobody",
		reflect.TypeFor[[]struct {
			n  int
			mu psync.RMutex
		}](): ".n is unexported",
	} {
		require.ErrorContains(t, Check(typ), want, "%v", typ)
		_, err := Encode(reflect.Zero(typ))
		require.Equal(t, Check(typ), err)
		require.Equal(t, err, Decode(&Message{}, reflect.New(typ).Elem()))
	}
}
