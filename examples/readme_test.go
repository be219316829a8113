package examples_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program in the README is the one that runs here.
func TestReadmeShowsFirst(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("first/main.go")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```go\n"+string(program)+"```\n")
}
