package proc

import "unsafe"

// memoryOf returns the bytes of *v, for types that travel as their bytes.
func memoryOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
