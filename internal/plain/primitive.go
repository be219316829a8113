package plain

import (
	"reflect"
	"sync"
)

// primitives caches the answers of Primitive: reflect.Type -> string.
var primitives sync.Map

// Primitive returns the path of the first primitive of our package sync that a
// value of type t holds, directly or through arrays and structs: "Config.Mu",
// or "Mutex" for the primitive itself. It returns "" if there is none.
//
// A value that holds a primitive must not be copied: a copied lock locks
// nothing, and a lock that is written over lets everybody in. An error of that
// package is none.
func Primitive(t reflect.Type) string {
	if known, ok := primitives.Load(t); ok {
		return known.(string)
	}
	path := primitive(t, Root(t), SyncPath)
	primitives.Store(t, path)
	return path
}

func primitive(t reflect.Type, path, pkg string) string {
	if t.PkgPath() == pkg && !reflect.PointerTo(t).Implements(reflect.TypeFor[error]()) {
		return path
	}
	switch t.Kind() {
	case reflect.Array:
		return primitive(t.Elem(), path+"[]", pkg)
	case reflect.Struct:
		for f := range t.Fields() {
			if p := primitive(f.Type, path+"."+f.Name, pkg); p != "" {
				return p
			}
		}
	}
	return ""
}
