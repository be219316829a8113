package shm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The length of a message never looks like the mark that the rest of the ring is
// unused.
func TestRecordLengthIsNoMark(t *testing.T) {
	r := records{units: maxUnits}
	require.NoError(t, r.fits(1<<33-8))
	require.Less(t, uint64(r.biggest()), uint64(recordSkip))
}
