package shm

import (
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// These are the only casts from mapped bytes to types. The callers have checked
// that T may lie there, and that it fits.

// viewOf lays n elements over the start of b.
func viewOf[T any](b []byte, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// contains reports whether v lies in m.
func contains[T any](m *mapping, v *T) bool {
	p, start := uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	return p >= start && p-start < uintptr(len(m.data))
}

// offsetIn returns where in m the given lock lies, or false.
func (m *mapping) offsetIn(lock psync.Locker) (int, bool) {
	var p unsafe.Pointer
	var size uintptr
	switch l := lock.(type) {
	case *psync.Mutex:
		p, size = unsafe.Pointer(l), unsafe.Sizeof(*l)
	case *psync.RMutex:
		p, size = unsafe.Pointer(l), unsafe.Sizeof(*l)
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	if uintptr(p) < start+headerSize || uintptr(p)+size > start+uintptr(len(m.data)) {
		return 0, false
	}
	return int(uintptr(p) - start), true
}
