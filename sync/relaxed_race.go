//go:build race

package sync

import "sync/atomic"

// storeRelaxed is an ordinary atomic store under the race detector, which knows
// no relaxed ones.
func storeRelaxed(word *atomic.Uint64, v uint64) { word.Store(v) }
