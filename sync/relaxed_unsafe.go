//go:build !race

package sync

import (
	"sync/atomic"
	"unsafe"
)

// storeRelaxed stores without ordering, for a word of which each reader only
// asks whether it holds what that reader stored itself, or that counts only for
// who has taken the lock since. Store would be an XCHG on amd64, as dear as the
// lock itself.
func storeRelaxed(word *atomic.Uint64, v uint64) {
	*(*uint64)(unsafe.Pointer(word)) = v
}
