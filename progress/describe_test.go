package progress

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	require.Equal(t, "7, 12s", describe(7, 0, 12*time.Second))
	require.Equal(t, "0 of 40", describe(0, 40, time.Second))
	require.Equal(t, "10 of 40, 30s left", describe(10, 40, 10*time.Second))
	require.Equal(t, "40 of 40, 1m10s", describe(40, 40, 70*time.Second))
}
