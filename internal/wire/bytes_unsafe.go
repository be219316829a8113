package wire

import (
	"reflect"
	"unsafe"
)

// bytesOf returns the memory of v, which is addressable and of a plain type.
func bytesOf(v reflect.Value) []byte {
	return unsafe.Slice((*byte)(v.Addr().UnsafePointer()), v.Type().Size())
}

// elemsOf returns the memory of the elements of v, a slice of a plain type.
func elemsOf(v reflect.Value) []byte {
	size := uintptr(v.Len()) * v.Type().Elem().Size()
	return unsafe.Slice((*byte)(v.UnsafePointer()), size)
}
