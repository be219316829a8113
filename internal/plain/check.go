// Package plain says by reflection which Go types are nothing but bytes: types
// that hold no Go pointer, and so may lie in memory that another process maps,
// or travel to it as they are.
//
// The garbage collector does not see shared memory, and an address of one
// process means nothing in another. What looks harmless and is not is refused
// as well: see [Check].
package plain

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// SyncPath is the import path of our package sync, the home of the primitives
// that work between processes.
const SyncPath = "github.com/go-multiproc/multiproc/sync"

// checked caches the answers of Check: reflect.Type -> error or nil.
var checked sync.Map

// Check returns nil if values of type t may lie in shared memory: t is made of
// booleans, numbers, arrays and structs only. Otherwise the error names the
// path of the offending field, as in
//
//	Config.Inner[].Name is a string: it holds a pointer
//
// Refused besides everything that holds a pointer: uintptr, since it is an
// address as a rule, and every type of the standard library's package sync,
// which would compile, lie there, and exclude nobody. The integers and the
// boolean of sync/atomic are fine, and so is a type of size zero.
func Check(t reflect.Type) error {
	if known, ok := checked.Load(t); ok {
		err, _ := known.(error)
		return err
	}
	err := check(t, Root(t))
	checked.Store(t, err)
	return err
}

func check(t reflect.Type, path string) error {
	if why := ProcessLocal(t); why != "" {
		return fmt.Errorf("%s is %s: %s", path, Describe(t), why)
	}
	switch t.Kind() {
	case reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		if t.Len() == 0 { // [0]func() marks a struct as not comparable and holds nothing
			return nil
		}
		return check(t.Elem(), path+"[]")
	case reflect.Struct:
		for f := range t.Fields() {
			if err := check(f.Type, path+"."+f.Name); err != nil {
				return err
			}
		}
		return nil
	case reflect.Uintptr:
		return fmt.Errorf("%s is %s: an address means nothing in another process", path, Describe(t))
	default:
		return fmt.Errorf("%s is %s: it holds a pointer", path, Describe(t))
	}
}

// ProcessLocal says why a type of the standard library's sync or sync/atomic
// is of no use between processes. It returns "" for all other types.
func ProcessLocal(t reflect.Type) string {
	name := t.Name()
	switch t.PkgPath() {
	case "sync":
		switch name {
		case "Cond", "Mutex", "Once", "RWMutex", "WaitGroup":
			return "it works inside one process only; use psync." + name + " (" + SyncPath + ")"
		}
		return "it works inside one process only"
	case "sync/atomic":
		switch {
		case name == "Uintptr":
			return "an address means nothing in another process"
		case name == "Value", strings.HasPrefix(name, "Pointer["):
			return "it holds a pointer"
		}
	}
	return ""
}
