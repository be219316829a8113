//go:build race

package check

import (
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestRaceOn(t *testing.T) { require.True(t, Race) }

// TestShadow gives neighbouring words shadows of their own, all within the
// array.
func TestShadow(t *testing.T) {
	words := make([]atomic.Uint64, len(shadow))
	seen := map[unsafe.Pointer]bool{}
	for i := range words {
		s := shadowOf(&words[i])
		require.GreaterOrEqual(t, uintptr(s), uintptr(unsafe.Pointer(&shadow[0])))
		require.LessOrEqual(t, uintptr(s), uintptr(unsafe.Pointer(&shadow[len(shadow)-1])))
		require.Equal(t, s, shadowOf(&words[i]))
		seen[s] = true
	}
	require.Greater(t, len(seen), len(shadow)/2)
}
