package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const modulePath = "github.com/go-multiproc/multiproc/"

// layers lists the packages of the module from the bottom. Code imports only
// from layers below its own; tests, which may stand outside their package, may
// look up. A name that ends in a slash means all packages below it.
var layers = [][]string{
	{"internal/barrier", "internal/check", "internal/conformance", "internal/futex", "internal/inherit", "internal/lint", "internal/machine", "internal/memfd", "internal/mutate", "internal/pause", "internal/plain", "internal/probe", proctest},
	{"internal/course", "internal/measure", "internal/roster", "internal/spin", "internal/verification", "internal/wire"},
	{"internal/await"},
	{"internal/chunk", "sync"},
	{"shm"},
	{"proc"},
	{"cmd/", "examples/"},
}

const proctest = "internal/proctest"

func layer(pkg string) int {
	return slices.IndexFunc(layers, func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return name == pkg || strings.HasSuffix(name, "/") && strings.HasPrefix(pkg, name)
		})
	})
}

// rules look at one file each and return their complaints.
var rules = map[string]func(*file) []string{
	"layers":        checkLayers,
	"alias of sync": checkAlias,
	"unsafe":        checkUnsafe,
	"typed atomics": checkAtomics,
	"sleep":         checkSleep,
	"skip":          checkSkip,
	"doc comments":  checkDocs,
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return p
}

func checkLayers(f *file) (complaints []string) {
	if f.isTest() {
		return nil
	}
	from := layer(f.dir)
	if from < 0 {
		return []string{f.report(f, "%s is not in the table of layers (internal/lint)", f.dir)}
	}
	for _, spec := range f.Imports {
		pkg, ours := strings.CutPrefix(importPath(spec), modulePath)
		if !ours {
			continue
		}
		if to := layer(pkg); to >= from {
			complaints = append(complaints, f.report(spec, "%s (layer %d) imports %s (layer %d)", f.dir, from, pkg, to))
		}
		if pkg == proctest {
			complaints = append(complaints, f.report(spec, "%s is for tests only", pkg))
		}
	}
	return complaints
}

// checkAlias keeps the two packages named sync apart.
func checkAlias(f *file) (complaints []string) {
	if f.dir == "sync" {
		return nil
	}
	for _, spec := range f.Imports {
		alias := ""
		if spec.Name != nil {
			alias = spec.Name.Name
		}
		switch p := importPath(spec); {
		case p == modulePath+"sync" && alias != "psync":
			complaints = append(complaints, f.report(spec, "%s: import it as psync", p))
		case p == "sync" && alias != "":
			complaints = append(complaints, f.report(spec, "%s: import it as sync", p))
		}
	}
	return complaints
}

var unsafeName = regexp.MustCompile(`_unsafe(_test)?\.go$`)

func checkUnsafe(f *file) (complaints []string) {
	for _, spec := range f.Imports {
		if importPath(spec) == "unsafe" && !unsafeName.MatchString(f.name) {
			complaints = append(complaints, f.report(spec, "unsafe belongs in a file *_unsafe.go or *_unsafe_test.go"))
		}
	}
	return complaints
}

var atomicFunction = regexp.MustCompile(`^(Load|Store|Add|Swap|CompareAndSwap|And|Or)[A-Z]`)

func checkAtomics(f *file) []string {
	return selectors(f, "sync/atomic", atomicFunction, "%s: use the typed atomics, as atomic.Uint32")
}

func checkSleep(f *file) []string {
	if !f.isTest() {
		return nil
	}
	return selectors(f, "time", regexp.MustCompile(`^Sleep$`), "%s in a test: wait for what is to happen")
}

// selectors complains about each use of a matching name of an imported package.
func selectors(f *file, pkg string, name *regexp.Regexp, format string) (complaints []string) {
	i := slices.IndexFunc(f.Imports, func(spec *ast.ImportSpec) bool { return importPath(spec) == pkg })
	if i < 0 {
		return nil
	}
	local := pkg[strings.LastIndexByte(pkg, '/')+1:]
	if f.Imports[i].Name != nil {
		local = f.Imports[i].Name.Name
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == local && name.MatchString(sel.Sel.Name) {
				complaints = append(complaints, f.report(sel, format, local+"."+sel.Sel.Name))
			}
		}
		return true
	})
	return complaints
}

// checkSkip goes by the method's name: nothing else in a test is called so.
func checkSkip(f *file) (complaints []string) {
	if !f.isTest() {
		return nil
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			complaints = append(complaints, f.report(sel, "t.%s: a test that needs something must say so and fail", sel.Sel.Name))
		}
		return true
	})
	return complaints
}

// checkDocs wants a comment at every exported name. A group may have one for
// all its constants or variables.
func checkDocs(f *file) (complaints []string) {
	if f.isTest() || f.Name.Name == "main" {
		return nil
	}
	want := func(names []*ast.Ident, comments ...*ast.CommentGroup) {
		documented := slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil })
		for _, n := range names {
			if n.IsExported() && !documented {
				complaints = append(complaints, f.report(n, "%s has no doc comment", n.Name))
			}
		}
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || ast.IsExported(receiver(d)) {
				want([]*ast.Ident{d.Name}, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					want(s.Names, s.Doc, s.Comment, d.Doc)
				case *ast.TypeSpec:
					doc := s.Doc
					if d.Lparen == token.NoPos {
						doc = d.Doc
					}
					want([]*ast.Ident{s.Name}, doc)
					if s.Name.IsExported() && public(f.dir) {
						f.members(s.Type, want)
					}
				}
			}
		}
	}
	return complaints
}

func public(dir string) bool { return dir == "sync" || dir == "shm" || dir == "proc" }

// members visits the fields of a struct or the methods of an interface, each
// with its comments. A member on the line below another shares its comment.
func (f *file) members(t ast.Expr, visit func([]*ast.Ident, ...*ast.CommentGroup)) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	line := func(p token.Pos) int { return f.fset.Position(p).Line }
	var doc *ast.CommentGroup
	for i, m := range list.List {
		if m.Doc != nil || i > 0 && line(m.Pos()) > line(list.List[i-1].End())+1 {
			doc = m.Doc
		}
		visit(m.Names, doc, m.Comment)
	}
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// packageComments wants each package described once or more. The comment of a
// program may begin as its author likes.
func packageComments(files []*file) (complaints []string) {
	described := map[string]bool{}
	for _, f := range files {
		if f.isTest() {
			continue
		}
		begin := ""
		if f.Name.Name != "main" {
			begin = "Package " + f.Name.Name + " "
		}
		described[f.dir] = described[f.dir] || f.Doc != nil && strings.HasPrefix(f.Doc.Text(), begin)
	}
	for dir, ok := range described {
		if !ok {
			complaints = append(complaints, dir+": no file has a comment that begins \"Package "+dir[strings.LastIndexByte(dir, '/')+1:]+" \"")
		}
	}
	slices.Sort(complaints)
	return complaints
}
