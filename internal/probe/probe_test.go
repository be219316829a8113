package probe

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

func TestNames(t *testing.T) {
	seen := map[string]Point{}
	for p := none; p < end; p++ {
		name := p.String()
		require.NotEmpty(t, name, "point %d", p)
		require.NotContains(t, seen, name)
		seen[name] = p
	}
	require.Equal(t, "unknown", end.String())
	require.Equal(t, "unknown", Point(255).String())
	for name, p := range map[string]Point{
		"lock 1": Lock1, "lock 13": Lock13, "locked": Locked, "enter 14": Enter14, "leave 15": Leave15, "claim 20": Claim20, "claim 27": Claim27,
	} {
		require.Equal(t, name, p.String())
	}
}

func TestPoints(t *testing.T) {
	require.Equal(t, []Point{Claim20, Claim21, Claim22, Claim23, Claim24, Claim25, Claim26, Claim27}, Points(Claim20, Claim27))
	require.Equal(t, []Point{Locked}, Points(Locked, Locked))
	require.Len(t, Points(Lock1, end-1), int(end)-1, "all but none")
}

// TestAtUnarmed passes every point in a process that is not armed.
func TestAtUnarmed(t *testing.T) {
	for p := none; p <= end; p++ {
		At(p)
	}
}
