package relay

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestRelay(t *testing.T) {
	loud, err := Relay(t.Context(), []string{"one", "two", "three"})
	require.NoError(t, err)
	require.Equal(t, []string{"ONE", "TWO", "THREE"}, loud)
	require.Empty(t, proc.Children(), "both have ended")

	loud, err = Relay(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, loud)
}

func TestRelayOfMany(t *testing.T) {
	var lines, want []string
	for i := range 10_000 {
		lines = append(lines, fmt.Sprint("line ", i))
		want = append(want, fmt.Sprint("LINE ", i))
	}
	loud, err := Relay(t.Context(), lines)
	require.NoError(t, err)
	require.Equal(t, want, loud)
}
