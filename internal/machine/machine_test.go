package machine

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	m := Describe(t.Context())
	require.NotEmpty(t, m.CPU)
	require.Equal(t, runtime.NumCPU(), m.CPUs)
	require.Positive(t, m.MemoryGB)
	require.Regexp(t, `^Linux \d+\.\d+`, m.Kernel)
	require.Contains(t, m.Go, runtime.GOARCH)
	require.NotEmpty(t, m.Commit)
	require.Regexp(t, `^[\d.]+ [\d.]+ [\d.]+$`, m.Load)
	require.Regexp(t, `^.+, \d+ CPUs, \d+ GB$`, m.String())
}
