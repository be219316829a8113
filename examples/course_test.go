package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block of the course is what a fence encloses. The comment on the line above
// says where it comes from.
var block = regexp.MustCompile("(?ms)(?:^<!-- (\\S+) -->\n)?^```(\\w+)\n(.*?)^```$")

// The course shows programs and outputs as they are: a block of Go or text stands
// word for word in the file that it names. Blocks of other kinds are commands, and
// what was recorded once.
func TestCourseShowsWhatThereIs(t *testing.T) {
	chapters, err := filepath.Glob("../docs/course/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	for _, chapter := range chapters {
		text, err := os.ReadFile(chapter)
		require.NoError(t, err)
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			source, language, shown := m[1], m[2], m[3]
			if language != "go" && language != "text" {
				continue
			}
			require.NotEmpty(t, source, "%s does not say where this comes from:\n%s", chapter, shown)
			whole, err := os.ReadFile(filepath.Join("..", source))
			require.NoError(t, err, chapter)
			require.Contains(t, string(whole), strings.TrimRight(shown, "\n"), "%s, from %s", chapter, source)
		}
	}
}

// What was measured was printed by the command that stands above it: apart from the
// figures it is what CI sees of a quick run. make course writes it anew.
func TestCourseShowsWhatWasMeasured(t *testing.T) {
	measured := regexp.MustCompile(`(?s)<!-- measured: go run ./examples/(\w+)[^>]* -->\n(.*?)<!-- end -->`)
	chapters, err := filepath.Glob("../docs/course/*.md")
	require.NoError(t, err)
	found := 0
	for _, chapter := range chapters {
		text, err := os.ReadFile(chapter)
		require.NoError(t, err)
		for _, m := range measured.FindAllStringSubmatch(string(text), -1) {
			want, err := os.ReadFile(filepath.Join(m[1], "quick.txt"))
			require.NoError(t, err)
			require.Equal(t, string(shape(want)), string(shape([]byte(m[2]))), chapter)
			found++
		}
	}
	require.Positive(t, found)
}
