//go:build !amd64

package barrier

import "sync/atomic"

// asymmetric is false where atomic.Store is the processor's own ordered store,
// as STLR on arm64: there is nothing to save.
const asymmetric = false

func storeRelease(word *atomic.Uint64, v uint64) { word.Store(v) }
