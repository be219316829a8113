package wire

import "reflect"

// A boolTest reports whether every bool in b, the bytes of a value of one plain
// type, is 0 or 1.
type boolTest func(b []byte) bool

// boolsOf returns the test for t, nil if t has no bool.
func boolsOf(t reflect.Type) boolTest {
	switch t.Kind() {
	case reflect.Bool:
		return func(b []byte) bool { return b[0] <= 1 }
	case reflect.Array:
		elem, size, n := boolsOf(t.Elem()), int(t.Elem().Size()), t.Len()
		if elem == nil || n == 0 {
			return nil
		}
		return func(b []byte) bool {
			for i := range n {
				if !elem(b[i*size:][:size]) {
					return false
				}
			}
			return true
		}
	case reflect.Struct:
		var all boolTest
		for f := range t.Fields() {
			if test := boolsOf(f.Type); test != nil {
				all = both(all, test, int(f.Offset), int(f.Type.Size()))
			}
		}
		return all
	}
	return nil
}

// both adds the test of the field at this offset to the tests before it.
func both(before, test boolTest, offset, size int) boolTest {
	return func(b []byte) bool {
		return (before == nil || before(b)) && test(b[offset:][:size])
	}
}
