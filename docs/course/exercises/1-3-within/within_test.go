package within

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestWithin(t *testing.T) {
	steps, err := Within(t.Context(), time.Minute, 27)
	require.NoError(t, err)
	require.Equal(t, 111, steps)

	_, err = Within(t.Context(), 100*time.Millisecond, 0)
	require.ErrorIs(t, err, ErrTooLong)
	require.Empty(t, proc.Children(), "the process is gone")
}
