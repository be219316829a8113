package lint

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// std imports the two packages from which shared structs take types. Nothing
// else of a package is needed, so that it need not be loaded.
type std struct{ types.Importer }

func (s std) Import(path string) (*types.Package, error) {
	if path == "sync/atomic" || path == "structs" {
		return s.Importer.Import(path)
	}
	return nil, errors.New("not loaded")
}

// A source is the part of a package that can be known without its imports.
type source struct {
	scope *types.Scope
	files []*ast.File
}

type sources map[string]*source

// load returns the package in a directory of the module.
func (s sources) load(t *testing.T, dir string) *source {
	t.Helper()
	if s[dir] == nil {
		fset := token.NewFileSet()
		names, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		require.NoError(t, err)
		src := &source{}
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") {
				f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
				require.NoError(t, err)
				src.files = append(src.files, f)
			}
		}
		require.NotEmpty(t, src.files, dir)
		config := types.Config{
			Importer:         std{importer.ForCompiler(fset, "source", nil)},
			IgnoreFuncBodies: true,
			Error:            func(error) {}, // what was not loaded is unknown
		}
		pkg, _ := config.Check(dir, fset, src.files, nil)
		src.scope = pkg.Scope()
		s[dir] = src
	}
	return s[dir]
}

// lookup finds a name such as internal/roster.slot.
func (s sources) lookup(t *testing.T, name string) types.Object {
	t.Helper()
	dot := strings.LastIndexByte(name, '.')
	require.Positive(t, dot, name)
	object := s.load(t, name[:dot]).scope.Lookup(name[dot+1:])
	require.NotNil(t, object, "docs/layout.md names %s, which does not exist", name)
	return object
}

func (s sources) lookupStruct(t *testing.T, name string) *types.Struct {
	t.Helper()
	st, ok := s.lookup(t, name).Type().Underlying().(*types.Struct)
	require.True(t, ok, "%s is no struct", name)
	return st
}

// hosted lists the structs of a package that say that others read them.
func (s *source) hosted() (names []string) {
	for _, name := range s.scope.Names() {
		st, ok := s.scope.Lookup(name).Type().Underlying().(*types.Struct)
		if ok && st.NumFields() > 0 && st.Field(0).Type().String() == "structs.HostLayout" {
			names = append(names, name)
		}
	}
	return names
}

// together lists the constants that are declared in one group with the name.
func (s *source) together(name string) (names []string) {
	for _, f := range s.files {
		for _, decl := range f.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			var group []string
			for _, spec := range g.Specs {
				for _, n := range spec.(*ast.ValueSpec).Names {
					group = append(group, n.Name)
				}
			}
			if slices.Contains(group, name) {
				return group
			}
		}
	}
	return nil
}
