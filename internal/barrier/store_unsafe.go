//go:build amd64

package barrier

import (
	"sync/atomic"
	"unsafe"
)

// asymmetric says that an ordered store is cheaper than atomic.Store here.
const asymmetric = true

// storeRelease is an ordinary store: amd64 keeps stores in order. That it is a
// call keeps them in order for the compiler.
//
//go:noinline
func storeRelease(word *atomic.Uint64, v uint64) { *(*uint64)(unsafe.Pointer(word)) = v }
