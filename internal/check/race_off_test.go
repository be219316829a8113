//go:build !race

package check

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRaceOff(t *testing.T) {
	require.False(t, Race)
	Acquire(nil) // looks at nothing
	Release(nil)
}
