package join

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

func TestInOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()

	require.NoError(t, InOrder(t.Context(), &proc.File{File: f}, 8))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	var numbers []string
	for _, m := range regexp.MustCompile(`(?m)^Process-\d+, num: (\d)$`).FindAllStringSubmatch(string(text), -1) {
		numbers = append(numbers, m[1])
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, numbers)
}
