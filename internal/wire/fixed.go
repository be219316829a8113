package wire

import "reflect"

// Fixed reports whether values of type t travel as their bytes, all of which
// may have any value: then copying the bytes is all that encoding and decoding
// would do.
func Fixed(t reflect.Type) bool {
	f := formOf(t)
	return f.err == nil && f.kind == asBytes && f.bools == nil
}
