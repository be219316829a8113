//go:build amd64

package barrier

import (
	"sync/atomic"
	"unsafe"
)

// asymmetric says that an ordered store is cheaper than atomic.Store here.
const asymmetric = true

// storeRelease is an ordinary store: amd64 keeps stores in order. So does the
// compiler, which moves none past another one, a call or an atomic access either.
func storeRelease(word *atomic.Uint64, v uint64) { *(*uint64)(unsafe.Pointer(word)) = v }
