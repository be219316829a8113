package plain

import (
	"reflect"
	"strings"
)

// Root returns the first element of a field path that starts at t: its name
// without the package, or its full form if it has no name.
func Root(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

// Describe returns what t is, for use after "is" in an error: "a string",
// "an interface (error)", "a sync.Mutex".
func Describe(t reflect.Type) string {
	noun := t.Kind().String()
	switch t.Kind() {
	case reflect.Struct:
		noun = t.String()
	case reflect.Pointer:
		noun = "pointer (" + t.String() + ")"
	default:
		if t.String() != noun {
			noun += " (" + t.String() + ")"
		}
	}
	if strings.ContainsRune("aeio", rune(noun[0])) || strings.HasPrefix(noun, "unsafe") {
		return "an " + noun
	}
	return "a " + noun
}
