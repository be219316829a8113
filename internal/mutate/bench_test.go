package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutantsFitTheCode finds out early that code or tests have moved on: each
// text is there once, and each test exists.
func TestMutantsFitTheCode(t *testing.T) {
	t.Chdir("../..")
	names, tests := map[string]bool{}, map[string]string{}
	for _, m := range mutants {
		require.False(t, names[m.name], "two mutants are named %q", m.name)
		names[m.name] = true
		require.NotEmpty(t, m.edits, m.name)
		_, err := apply(append(m.edits, m.without...))
		require.NoError(t, err, m.name)
		require.True(t, hasTest(t, m, tests), "%s: %s has no %s", m.name, m.pkg, m.test)
	}
	require.GreaterOrEqual(t, len(names), 14)
}

// hasTest reports whether the package of m, of those read before or now, has its test.
func hasTest(t *testing.T, m mutant, read map[string]string) bool {
	t.Helper()
	if _, known := read[m.pkg]; !known {
		files, err := filepath.Glob(filepath.Join(m.pkg, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			read[m.pkg] += string(text)
		}
	}
	name, _, _ := strings.Cut(m.test, "/")
	return strings.Contains(read[m.pkg], "\nfunc "+name+"(")
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
