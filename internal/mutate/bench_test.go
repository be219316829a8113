package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutantsFitTheCode finds out early that code or tests have moved on: each
// text is there once, and each test exists.
func TestMutantsFitTheCode(t *testing.T) {
	t.Chdir("../..")
	names := map[string]bool{}
	for _, m := range mutants {
		require.False(t, names[m.name], "two mutants are named %q", m.name)
		names[m.name] = true
		require.NotEmpty(t, m.edits, m.name)
		_, err := apply(append(m.edits, m.without...))
		require.NoError(t, err, m.name)
		require.True(t, hasTest(t, m), "%s: %s has no %s", m.name, m.pkg, m.test)
	}
	require.GreaterOrEqual(t, len(names), 14)
}

func hasTest(t *testing.T, m mutant) bool {
	t.Helper()
	name, _, _ := strings.Cut(m.test, "/")
	files, err := filepath.Glob(filepath.Join(m.pkg, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^func ` + name + `\(`).Match(text) {
			return true
		}
	}
	return false
}

func TestApply(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("a.go", []byte("one two three two"), 0o600))
	files, err := apply([]edit{{"a.go", "one", "1"}, {"a.go", "three", "3"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a.go": "1 two 3 two"}, files)
	_, err = apply([]edit{{"a.go", "four", "4"}})
	require.ErrorContains(t, err, "its text is 0 times in a.go")
	_, err = apply([]edit{{"a.go", "two", "2"}})
	require.ErrorContains(t, err, "its text is 2 times in a.go")
}

func TestExactly(t *testing.T) {
	require.Equal(t, "^TestExclusion$/^mutex$", exactly("TestExclusion/mutex"))
}
