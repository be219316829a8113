//go:build cgo

package proc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestProgramWithC(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, "{Square:144 Variable:false}\ntrue\n", output(t, nil, build(t, "withc", "CGO_ENABLED=1")))
}
