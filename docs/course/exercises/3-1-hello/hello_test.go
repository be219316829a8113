package hello

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestHello(t *testing.T) {
	g, err := Hello(t.Context(), "Ada")
	require.NoError(t, err)
	require.Equal(t, "Ada", g.Name)
	require.Equal(t, os.Getpid(), g.Parent)
	require.NotEqual(t, os.Getpid(), g.Pid, "that was this process itself")
}
