package shm

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// offsetOf returns where in m the elements of view begin. They must lie behind
// the header and inside m.
func offsetOf[T any](t testing.TB, m *mapping, view []T) int {
	t.Helper()
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	start := uintptr(unsafe.Pointer(unsafe.SliceData(view)))
	end := start + uintptr(len(view))*unsafe.Sizeof(view[0])
	if len(view) > 0 {
		require.GreaterOrEqual(t, start, base+headerSize)
		require.LessOrEqual(t, start, end)
		require.LessOrEqual(t, end, base+uintptr(m.size))
	}
	require.Equal(t, len(view), cap(view))
	require.Zero(t, start%unsafe.Alignof(view[0]))
	return int(start - base)
}
