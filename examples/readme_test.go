package examples_test

import (
	"os"
	"strings"
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

// Of the program with a pool it shows what is new.
func TestReadmeShowsPool(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("pool/main.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "## A pool\n")
	require.True(t, found)
	_, rest, _ = strings.Cut(rest, "```go\n")
	shown, _, _ := strings.Cut(rest, "```\n")
	for line := range strings.Lines(shown) {
		require.Contains(t, string(program), strings.TrimSpace(line))
	}
}
