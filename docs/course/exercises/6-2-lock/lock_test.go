package lock

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/docs/course/exercises/gate"
	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	gate.Pass()
	proc.Main()
	m.Run()
}

func TestConcert(t *testing.T) {
	const singers = 8
	name := filepath.Join(t.TempDir(), "out")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()

	require.NoError(t, <-gate.Hold(t, singers, func(ctx context.Context) error {
		return Concert(ctx, &proc.File{File: f}, singers)
	}))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, 3*singers, strings.Count(string(text), "\n"))
	for n := range singers {
		verse := fmt.Sprintf("singer %[1]d, line 0\nsinger %[1]d, line 1\nsinger %[1]d, line 2\n", n)
		require.Contains(t, string(text), verse)
	}
}
