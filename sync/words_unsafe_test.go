package sync_test

import "unsafe"

// wordsOf shows a value in shared memory as the 64-bit words that it consists of,
// to damage it.
func wordsOf[T any](v *T) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(v)), unsafe.Sizeof(*v)/8)
}
