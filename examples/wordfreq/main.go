// Wordfreq: which words are the most frequent in the documentation of Go's own
// library? A pool parses the files; the program walks the tree and adds up, both
// at once, and never has more than some files under way.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"log"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/go-multiproc/multiproc/proc"
)

// frequencies counts the words in the doc comments of one file.
var frequencies = proc.Register("frequencies", func(_ context.Context, name string) (map[string]int, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	words := map[string]int{}
	count := func(doc *ast.CommentGroup) {
		for word := range strings.FieldsFuncSeq(strings.ToLower(doc.Text()), func(r rune) bool { return !unicode.IsLetter(r) }) {
			words[word]++
		}
	}
	count(file.Doc)
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			count(d.Doc)
		case *ast.GenDecl:
			count(d.Doc)
		}
	}
	return words, nil
})

// sources walks a tree, and gives the Go files in it one by one. The first one does
// not exist.
func sources(root string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(filepath.Join(root, "missing.go")) {
			return
		}
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "cmd"):
				return fs.SkipDir
			case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			case !yield(name):
				return fs.SkipAll
			}
			return nil
		})
		check(err)
	}
}

func main() {
	proc.Main()

	ctx := context.Background()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	check(err)
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	pool, err := proc.NewPool(ctx, nil)
	check(err)

	words := map[string]int{}
	for result := range frequencies.MapUnordered(ctx, pool, sources(src), nil) { // as they come
		if errors.Is(result.Err, fs.ErrNotExist) { // an error of one file is no end
			fmt.Println("input", result.Index, "does not exist")
			continue
		}
		check(result.Err)
		for word, n := range result.Value {
			words[word] += n
		}
	}
	check(pool.Close())

	byCount := func(a, b string) int { return cmp.Or(words[b]-words[a], strings.Compare(a, b)) }
	fmt.Printf("the most frequent words are %q\n", slices.SortedFunc(maps.Keys(words), byCount)[:3])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
