package wire

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/go-multiproc/multiproc/internal/plain"
)

// A form says how the values of one type travel.
type form struct {
	err   error    // the answer of Check; the rest holds if it is nil
	kind  formKind // which bytes a message has
	bools boolTest // of the type itself, or of the elements of a slice; nil: it has no bool
	look  bool     // values need a look before they are encoded, see look.go
	own   bool     // methods of the type or of parts of it are called, and may add descriptors

	// sum tells the forms that do not describe themselves from one another. A
	// frame carries it, so that two programs which do not agree about the type
	// of a value notice: 0 for CBOR, else the fingerprint of the type itself,
	// or the inverted one of a slice's elements.
	sum   uint64
	files bool // values may hold shared objects, whose descriptors travel beside the data
}

type formKind uint8

const (
	asCBOR   formKind = iota
	asBytes           // the value's own bytes, exactly its size
	asString          // the bytes of the string
	asSlice           // nothing for nil; else the number of elements, 8 bytes, and their bytes
)

var (
	timeType        = reflect.TypeFor[time.Time]()
	bigIntType      = reflect.TypeFor[big.Int]()
	travellerType   = reflect.TypeFor[Traveller]()
	marshalerType   = reflect.TypeFor[cbor.Marshaler]()
	unmarshalerType = reflect.TypeFor[cbor.Unmarshaler]()
	zeroerType      = reflect.TypeFor[interface{ IsZero() bool }]()
	cborPath        = reflect.TypeFor[cbor.RawMessage]().PkgPath()
)

// codecs are the pairs of methods that cbor calls instead of looking inside a
// value, the preferred one first. Its TextMarshaler mode stays off: text is
// made for people and is often lossy, as that of net.IP.
var codecs = []struct {
	name               string
	marshal, unmarshal reflect.Type
}{
	{"CBOR", marshalerType, unmarshalerType},
	{"Binary", reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()},
}

// forms caches what is known of a type: reflect.Type -> *form.
var forms sync.Map

// Check returns nil if values of type t can travel and come back equal. The
// error names the path of the first field that cannot, as in
//
//	Job.Steps[].Done is a chan (chan int): it means nothing in another process
//
// Fields tagged `cbor:"-"` are left out, as their tag asks for.
func Check(t reflect.Type) error { return formOf(t).err }

// HoldsFiles reports whether values of type t, which passed Check, may hold
// shared objects: then a message needs more than its data.
func HoldsFiles(t reflect.Type) bool { return formOf(t).files }

func formOf(t reflect.Type) *form {
	if f, ok := forms.Load(t); ok {
		return f.(*form)
	}
	f, _ := forms.LoadOrStore(t, newForm(t))
	return f.(*form)
}

func newForm(t reflect.Type) *form {
	isPlain := func(t reflect.Type) bool {
		return plain.Check(t) == nil && plain.Primitive(t) == "" && !reflect.PointerTo(t).Implements(travellerType)
	}
	switch {
	case isPlain(t):
		return &form{kind: asBytes, bools: boolsOf(t), sum: plain.Fingerprint(t)}
	case t.Kind() == reflect.String:
		return &form{kind: asString, sum: plain.Fingerprint(t)}
	case t.Kind() == reflect.Slice && isPlain(t.Elem()):
		return &form{kind: asSlice, bools: boolsOf(t.Elem()), sum: ^plain.Fingerprint(t.Elem())}
	}
	c := checker{seen: make(map[reflect.Type]bool)}
	err := c.check(t, plain.Root(t))
	return &form{err: err, kind: asCBOR, look: err == nil && needsLook(t), own: c.own, files: c.files}
}

// A checker walks through one type.
type checker struct {
	seen  map[reflect.Type]bool // found good, or still being looked at: types may be recursive
	own   bool                  // see form
	files bool                  // see form
}

func refuse(path string, t reflect.Type, why string) error {
	return fmt.Errorf("%s is %s: %s", path, plain.Describe(t), why)
}

// check refuses t if a value of it, encoded by cbor, does not come back equal.
func (c *checker) check(t reflect.Type, path string) error {
	if c.seen[t] {
		return nil
	}
	c.seen[t] = true

	if why := unfit(t); why != "" {
		return refuse(path, t, why)
	}
	if t == timeType || t == bigIntType { // cbor knows them
		return nil
	}
	if err := checkPromotion(t, path); err != nil {
		return err
	}
	if own, err := checkCodec(t, path); own || err != nil {
		c.own = true
		return err
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer:
		return c.checkPointer(t, path)
	case reflect.Slice, reflect.Array:
		return c.check(t.Elem(), path+"[]")
	case reflect.Map:
		if !keepsKeys(t.Key()) {
			return refuse(path+"[key]", t.Key(), "as a map key it holds a pointer, which is another one after the way")
		}
		if err := c.check(t.Key(), path+"[key]"); err != nil {
			return err
		}
		return c.check(t.Elem(), path+"[]")
	case reflect.Struct:
		return c.checkStruct(t, path)
	case reflect.Interface:
		return refuse(path, t, "an interface loses its type on the way")
	case reflect.Complex64, reflect.Complex128:
		return refuse(path, t, "complex numbers travel only in types without pointers")
	default: // chan, func, uintptr, unsafe.Pointer
		return refuse(path, t, "it means nothing in another process")
	}
}

// unfit says why a type cannot travel whatever it looks like inside. It
// returns "" for all other types.
func unfit(t reflect.Type) string {
	switch pkg := t.PkgPath(); {
	case pkg == plain.SyncPath && plain.Primitive(t) != "":
		return "a primitive that is copied excludes nobody; let it lie in shared memory"
	case pkg == "sync/atomic":
		return "an atomic must not be copied"
	case pkg == cborPath:
		return "a type of the encoder itself does not come back as it was"
	}
	return plain.ProcessLocal(t)
}

// checkPointer refuses a pointer to what may be encoded as null itself: it
// would come back as a nil pointer. (A pointer to the zero time is found in
// look.go, as *time.Time is too useful to be refused.)
func (c *checker) checkPointer(t reflect.Type, path string) error {
	if t.Implements(travellerType) {
		c.own, c.files = true, true
		if err := checkPromotion(t.Elem(), path); err != nil {
			return err
		}
		if !t.Implements(marshalerType) || !t.Implements(unmarshalerType) {
			return refuse(path, t, "a shared object needs MarshalCBOR and UnmarshalCBOR")
		}
		return nil
	}
	elem := t.Elem()
	switch elem.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if !hasCodec(elem) {
			return refuse(path, t, "a pointer to nil comes back as nil; leave one level out")
		}
	}
	return c.check(elem, path)
}

// checkCodec reports whether cbor would use methods of t itself. It refuses a
// type that has one of a pair only, and a shared object by value.
func checkCodec(t reflect.Type, path string) (own bool, err error) {
	p := reflect.PointerTo(t)
	if p.Implements(travellerType) {
		return false, refuse(path, t, "a shared object cannot be copied; use "+p.String())
	}
	for _, c := range codecs {
		marshals, unmarshals := p.Implements(c.marshal), p.Implements(c.unmarshal)
		switch {
		case marshals && unmarshals:
			return true, nil
		case marshals:
			return false, refuse(path, t, fmt.Sprintf("it has Marshal%s but not Unmarshal%[1]s", c.name))
		case unmarshals:
			return false, refuse(path, t, fmt.Sprintf("it has Unmarshal%s but not Marshal%[1]s", c.name))
		}
	}
	return false, nil
}

// hasCodec reports whether a type that passed Check is encoded by its own
// methods, or known to cbor by name.
func hasCodec(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, c := range codecs {
		if p.Implements(c.marshal) {
			return true
		}
	}
	return t == bigIntType
}

// checkPromotion refuses a struct that gets a method of encoding from an
// embedded field: cbor would call it for the struct, and lose all other fields.
// A struct that has no other field is fine, as those of package shm.
func checkPromotion(t reflect.Type, path string) error {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if !f.Anonymous {
			continue
		}
		p := f.Type
		byValue := p.Kind() != reflect.Pointer && p.Kind() != reflect.Interface
		if byValue {
			p = reflect.PointerTo(p)
		}
		if byValue && t.NumField() == 1 {
			continue
		}
		encodes := p.Implements(travellerType)
		for _, c := range codecs {
			encodes = encodes || p.Implements(c.marshal) || p.Implements(c.unmarshal)
		}
		if encodes {
			return fmt.Errorf("%s embeds %s, whose methods would encode it in place of the whole %s: give the field a name",
				path, f.Type, t)
		}
	}
	return nil
}

// keepsKeys reports whether two values of t, a type of map keys, are equal in
// another process if they are equal in this one. Pointers are not: neither
// those in time.Time and url.URL. A unique.Handle is compared by its content.
func keepsKeys(t reflect.Type) bool {
	if t.PkgPath() == "unique" {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Uintptr, reflect.Chan:
		return false
	case reflect.Array:
		return keepsKeys(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !keepsKeys(f.Type) {
				return false
			}
		}
	}
	return true
}
