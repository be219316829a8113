package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A claim is a comment above a test of ours that names a case of CPython's.
type claim struct {
	name     string // of the case: "Class.method"
	differs  string // how we differ and why; "" if we do not
	file     string // of the test, from the root of the module
	test     string // its name
	position string // of the comment, for errors
}

const prefix = "// Python:"

var claimForm = regexp.MustCompile(`^// Python: (\w+\.\w+)(?: — differs: (\S.*))?$`)

// findClaims returns the claims in all test files of the module. Other modules
// inside its tree, test data and hidden directories are left out.
func findClaims(root string) (claims []claim, err error) {
	var complaints []error
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root {
			_, err := os.Stat(filepath.Join(p, "go.mod"))
			if err == nil || d.Name() == "testdata" || d.Name()[0] == '.' {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		found, err := claimsIn(filepath.ToSlash(name), src)
		claims = append(claims, found...)
		complaints = append(complaints, err)
		return nil
	})
	return claims, errors.Join(append(complaints, err)...)
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)`)

// claimsIn returns the claims in one file. One that is malformed, or does not
// stand in the comment of a test, is an error: it would silently be lost.
func claimsIn(name string, src []byte) (claims []claim, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	tests := make(map[*ast.CommentGroup]string)
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Doc != nil && testName.MatchString(fn.Name.Name) {
			tests[fn.Doc] = fn.Name.Name
		}
	}
	var complaints []error
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if !strings.HasPrefix(comment.Text, prefix) {
				continue
			}
			at := fset.Position(comment.Pos())
			position := fmt.Sprintf("%s:%d", at.Filename, at.Line)
			parts := claimForm.FindStringSubmatch(comment.Text)
			switch test := tests[group]; {
			case parts == nil:
				complaints = append(complaints, fmt.Errorf("%s: %q is not of the form %q", position, comment.Text, prefix+" Class.method — differs: why"))
			case test == "":
				complaints = append(complaints, fmt.Errorf("%s: %q stands above no test", position, comment.Text))
			default:
				claims = append(claims, claim{name: parts[1], differs: parts[2], file: name, test: test, position: position})
			}
		}
	}
	return claims, errors.Join(complaints...)
}

// link names the test as package and function, and leads to its file.
func (c claim) link() string {
	return fmt.Sprintf("[%s.%s](../%s)", path.Base(path.Dir(c.file)), c.test, c.file)
}
