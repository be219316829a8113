//go:build amd64 && !race

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/go-multiproc/multiproc/internal/barrier"
)

// A mark tells other goroutines of this process that something is in use. Who sets
// it, and then looks whether that is forbidden, is seen by who forbids it and then
// calls barrier.Everywhere; or else sees that it is forbidden.
type mark struct{ word atomic.Uint32 }

// set is as barrier.Commit, but small enough to inline: the processor keeps stores
// in order, and the compiler leaves them on their side of an atomic access.
func (m *mark) set() {
	if !barrier.Cheap() {
		m.word.Swap(1)
		return
	}
	*(*uint32)(unsafe.Pointer(&m.word)) = 1
}

// clear comes after everything that was done under the mark.
func (m *mark) clear() { *(*uint32)(unsafe.Pointer(&m.word)) = 0 }

func (m *mark) isSet() bool { return m.word.Load() != 0 }
