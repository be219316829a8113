package examples_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block of the course is what a fence encloses. The comment on the line above
// says where it comes from.
var block = regexp.MustCompile("(?ms)(?:^<!-- (\\S+) -->\n)?^```(\\w+)\n(.*?)^```$")

// The course shows programs and outputs as they are: a block of Go or text stands
// word for word in the file that it names, as does one of Python. Blocks of other
// kinds are commands, and what was recorded once.
func TestCourseShowsWhatThereIs(t *testing.T) {
	chapters, err := filepath.Glob("../docs/course/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	for _, chapter := range chapters {
		text, err := os.ReadFile(chapter)
		require.NoError(t, err)
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			source, language, shown := m[1], m[2], m[3]
			if !slices.Contains([]string{"go", "text", "python"}, language) {
				continue
			}
			require.NotEmpty(t, source, "%s does not say where this comes from:\n%s", chapter, shown)
			whole, err := os.ReadFile(filepath.Join("..", source))
			require.NoError(t, err, chapter)
			require.Contains(t, string(whole), strings.TrimRight(shown, "\n"), "%s, from %s", chapter, source)
		}
	}
}

// What was measured was printed by the command that stands above it, and says by which
// machine: apart from the figures it is what CI sees of a quick run. make course writes it
// anew.
func TestCourseShowsWhatWasMeasured(t *testing.T) {
	measured := regexp.MustCompile(`(?s)<!-- measured: go run ./examples/(\w+)[^>]* -->\n(.*?)<!-- end -->`)
	chapters, err := filepath.Glob("../docs/course/*.md")
	require.NoError(t, err)
	var found []string
	for _, chapter := range chapters {
		text, err := os.ReadFile(chapter)
		require.NoError(t, err)
		for _, m := range measured.FindAllStringSubmatch(string(text), -1) {
			want, err := os.ReadFile(filepath.Join(m[1], "quick.txt"))
			require.NoError(t, err)
			require.Equal(t, string(shape(want)), string(shape([]byte(m[2]))), chapter)
			require.Regexp(t, `\nMeasured on \d{4}-\d\d-\d\d: .+\n$`, m[2], chapter)
			found = append(found, m[1])
		}
	}
	require.Equal(t, []string{"why", "versus", "batch"}, found) // in chapters 1, 2 and 4
}

// The page for people who come from Python has each documented name of the two packages,
// and those that are in use without being documented.
func TestCourseHasPythonsNames(t *testing.T) {
	page, err := os.ReadFile("../docs/course/python.md")
	require.NoError(t, err)
	names, err := os.ReadFile("python/names.txt")
	require.NoError(t, err)
	for name := range strings.FieldsSeq(string(names)) {
		require.True(t, strings.Contains(string(page), "`"+name+"`"), "there is no %s", name)
	}
}

// It names nothing of ours that does not exist: neither what a package declares, anywhere,
// nor a method or field in the second column, which has the counterparts.
func TestCourseNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile("../docs/course/python.md")
	require.NoError(t, err)
	ours, members := map[string]map[string]bool{}, map[string]bool{}
	for name, folder := range map[string]string{"proc": "proc", "shm": "shm", "psync": "sync"} {
		ours[name] = map[string]bool{}
		for _, f := range parsed(t, folder) {
			for _, decl := range f.Decls {
				for _, id := range declared(decl) {
					ours[name][id.Name], members[id.Name] = true, true
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					members[n.Name.Name] = true
				case *ast.Field:
					for _, id := range n.Names {
						members[id.Name] = true
					}
				}
				return true
			})
		}
	}
	for _, m := range regexp.MustCompile(`\b(proc|shm|psync)\.([A-Z]\w*)`).FindAllStringSubmatch(string(page), -1) {
		require.True(t, ours[m[1]][m[2]], "%s does not exist", m[0])
	}
	foreign := regexp.MustCompile(`\b(context|io|os)\.\w+`)
	code, name := regexp.MustCompile("`[^`]+`"), regexp.MustCompile(`\b[A-Z]\w*`)
	for row := range strings.Lines(string(page)) {
		cells := strings.Split(row, " | ")
		if !strings.HasPrefix(row, "| ") || len(cells) < 3 {
			continue
		}
		for _, c := range code.FindAllString(foreign.ReplaceAllString(cells[1], ""), -1) {
			for _, id := range name.FindAllString(c, -1) {
				require.True(t, members[id], "%s does not exist, but stands in the row %s", id, row)
			}
		}
	}
}

// parsed returns the files of a package of this module, without its tests.
func parsed(t *testing.T, pkg string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob("../" + pkg + "/*.go")
	require.NoError(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
			files = append(files, f)
		}
	}
	return files
}

// declared returns the names that a declaration gives to the package.
func declared(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name)
			case *ast.ValueSpec:
				names = append(names, s.Names...)
			}
		}
	}
	return names
}
