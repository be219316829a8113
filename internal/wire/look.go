package wire

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// maxDepth is how many structs, slices, arrays and maps may lie inside one
// another in a value of a recursive type. cbor has no limit of its own when it
// encodes: a cyclic value would overflow the stack, which no Go program survives.
const maxDepth = 1000

// looks caches the answers of needsLook: reflect.Type -> bool.
var looks sync.Map

// needsLook reports whether some values of t, which passed Check, do not come
// back equal: t is recursive or holds a time.Time.
func needsLook(t reflect.Type) bool {
	if known, ok := looks.Load(t); ok {
		return known.(bool)
	}
	need := reachesLook(t, make(map[reflect.Type]bool))
	looks.Store(t, need)
	return need
}

// reachesLook walks through t. In done, a type is false while it is being
// walked through, and true once nothing was found.
func reachesLook(t reflect.Type, done map[reflect.Type]bool) bool {
	if d, ok := done[t]; ok {
		return !d // met inside itself: recursive
	}
	done[t] = false
	defer func() { done[t] = true }()
	switch {
	case t == timeType:
		return true
	case hasCodec(t):
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map: // no map key needs a look: see keepsKeys
		return reachesLook(t.Elem(), done)
	case reflect.Struct:
		for f := range t.Fields() {
			if travels(f) && reachesLook(f.Type, done) {
				return true
			}
		}
	}
	return false
}

// look returns an error if v, which lies depth levels deep, would not come back
// equal, although values of its type do as a rule.
func look(v reflect.Value, depth int) error {
	t := v.Type()
	if !needsLook(t) {
		return nil
	}
	if t == timeType {
		return lookTime(v.Interface().(time.Time))
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return nil
		}
	}
	if t.Kind() == reflect.Pointer {
		if v = v.Elem(); v.Type() == timeType && v.Interface().(time.Time).IsZero() {
			return errors.New("a pointer to the zero time.Time comes back as nil: send nil, or the time by value")
		}
		return look(v, depth)
	}
	if depth == maxDepth {
		return ErrDepth
	}
	depth++
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := look(v.Index(i), depth); err != nil {
				return err
			}
		}
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			if err := look(i.Value(), depth); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if !travels(t.Field(i)) {
				continue
			}
			if err := look(v.Field(i), depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookTime refuses a time whose offset has seconds, as local times before
// standard time have: RFC 3339 cannot write it, and the instant would change.
func lookTime(t time.Time) error {
	if _, offset := t.Zone(); offset%60 != 0 {
		return fmt.Errorf("time %v is %d s off UTC, which is not a whole minute: send it in UTC", t, offset)
	}
	return nil
}
