package chunk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// newBoard makes a board for one test.
func newBoard(t testing.TB) *Board {
	t.Helper()
	b, err := New("test")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
