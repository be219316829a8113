package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file is one parsed Go file of the module.
type file struct {
	*ast.File
	fset *token.FileSet
	dir  string // slash-separated, from the root of the module
	name string
}

func (f *file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// A report says what is wrong at a place in a file.
func (f *file) report(at ast.Node, format string, args ...any) string {
	line := f.fset.Position(at.Pos()).Line
	return fmt.Sprintf("%s:%d: %s", path.Join(f.dir, f.name), line, fmt.Sprintf(format, args...))
}

func parse(dir, name string, src any) (*file, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return &file{File: f, fset: fset, dir: dir, name: path.Base(name)}, err
}

// module parses all files of the module, and apart those of the modules inside its
// tree; test data and hidden directories are left out.
func module(t *testing.T) (files, inner []*file) {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	files, roots := parseTree(t, root, root)
	for len(roots) > 0 {
		more, deeper := parseTree(t, root, roots[0])
		inner, roots = append(inner, more...), append(roots[1:], deeper...)
	}
	require.NotEmpty(t, files)
	require.NotEmpty(t, inner)
	return files, inner
}

// parseTree parses the files of the module at top, and returns the roots of the
// modules inside its tree.
func parseTree(t *testing.T, root, top string) (files []*file, modules []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != top {
			if d.Name() == "testdata" || d.Name()[0] == '.' {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				modules = append(modules, p)
				return filepath.SkipDir
			}
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(dir), p, nil)
		files = append(files, f)
		return err
	})
	require.NoError(t, err)
	return files, modules
}

func TestModule(t *testing.T) {
	files, inner := module(t)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			looked := files
			if name == "sleep" || name == "skip" { // what a test must not do, it must not do anywhere
				looked = slices.Concat(files, inner)
			}
			for _, f := range looked {
				for _, complaint := range rule(f) {
					t.Error(complaint)
				}
			}
		})
	}
	t.Run("package comments", func(t *testing.T) {
		for _, complaint := range packageComments(files) {
			t.Error(complaint)
		}
	})
}

// TestRulesBite shows each rule a file that breaks it: a rule that never
// complains is not known to look.
func TestRulesBite(t *testing.T) {
	const ours = `"github.com/go-multiproc/multiproc/`
	for _, tt := range []struct{ rule, dir, name, src, complaint string }{
		{"layers", "shm", "a.go", `import "unsafe"; import ` + ours + `proc"`, "shm (layer 4) imports proc (layer 5)"},
		{"layers", "sync", "a.go", `import ` + ours + `shm"`, "sync (layer 3) imports shm (layer 4)"},
		{"layers", "extra", "a.go", `import ` + ours + `sync"`, "extra is not in the table of layers"},
		{"layers", "shm", "a.go", `import ` + ours + `internal/proctest"`, "internal/proctest is for tests only"},
		{"alias of sync", "shm", "a.go", `import ` + ours + `sync"`, "import it as psync"},
		{"alias of sync", "shm", "a_test.go", `import sync ` + ours + `sync"`, "import it as psync"},
		{"alias of sync", "shm", "a.go", `import stdsync "sync"`, "import it as sync"},
		{"unsafe", "shm", "a.go", `import "unsafe"`, "unsafe belongs in a file *_unsafe.go"},
		{"unsafe", "shm", "a_unsafe_linux.go", `import _ "unsafe"`, "unsafe belongs in a file *_unsafe.go"},
		{"typed atomics", "shm", "a.go", `import a "sync/atomic"; var x uint32; var _ = a.LoadUint32(&x)`, "a.LoadUint32"},
		{"sleep", "shm", "a_test.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep in a test"},
		{"skip", "shm", "a_test.go", `import "testing"; func f(t *testing.T) { t.Skipf("x") }`, "t.Skipf"},
		{"doc comments", "shm", "a.go", `func F() {}`, "F has no doc comment"},
		{"doc comments", "shm", "a.go", "type (\n\tT struct{}\n)", "T has no doc comment"},
		{"doc comments", "shm", "a.go", "// T is.\ntype T[E any] struct{}\nfunc (t *T[E]) M() {}", "M has no doc comment"},
		{"doc comments", "shm", "a.go", "// T is.\ntype T struct { F int }", "F has no doc comment"},
		{"doc comments", "shm", "a.go", "// T is.\ntype T struct {\n// E and F are.\nE, F int\nG int\n\nH int }", "H has no doc comment"},
		{"doc comments", "shm", "a.go", "const C = 1", "C has no doc comment"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			f, err := parse(tt.dir, tt.name, "package p\n"+tt.src)
			require.NoError(t, err)
			complaints := rules[tt.rule](f)
			require.Len(t, complaints, 1)
			require.Contains(t, complaints[0], tt.complaint)
		})
	}
	f, err := parse("shm", "a.go", "// Some words.\npackage shm")
	require.NoError(t, err)
	require.Equal(t, []string{`shm: no file has a comment that begins "Package shm "`}, packageComments([]*file{f}))
}
