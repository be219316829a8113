package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRewrite(t *testing.T) {
	chapter := filepath.Join(t.TempDir(), "chapter.md")
	require.NoError(t, os.WriteFile(chapter, []byte(`# A chapter
<!-- measured: echo one two -->
old
<!-- end -->
text
<!-- measured: echo three -->
<!-- end -->
last
`), 0o600))
	const want = `# A chapter
<!-- measured: echo one two -->
one two
<!-- end -->
text
<!-- measured: echo three -->
three
<!-- end -->
last
`
	for range 2 { // a second time nothing changes
		require.NoError(t, rewrite(chapter))
		text, err := os.ReadFile(chapter)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}

func TestRewriteLeavesAChapterWhoseCommandFails(t *testing.T) {
	chapter := filepath.Join(t.TempDir(), "chapter.md")
	const text = "<!-- measured: false -->\nold\n<!-- end -->\n"
	require.NoError(t, os.WriteFile(chapter, []byte(text), 0o600))
	require.ErrorContains(t, rewrite(chapter), "false")
	left, err := os.ReadFile(chapter)
	require.NoError(t, err)
	require.Equal(t, text, string(left))
}
