//go:build !crash

package probe

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDisabled(t *testing.T) { require.False(t, Enabled) }
