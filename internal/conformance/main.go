// Command conformance writes docs/conformance.md: for each test case of
// CPython's multiprocessing, and of its executor of processes, what has become
// of it here. It puts together the list of cases in cases.txt and the comments
// above our tests:
//
//	// Python: _TestArray.test_array
//	// Python: _TestLock.test_lock — differs: Unlock of an unlocked lock panics
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run .

// root is the module's directory, seen from this package's: both go generate
// and go test run here.
const root = "../.."

var page = filepath.Join(root, "docs", "conformance.md")

func main() {
	text, err := generate()
	if err == nil {
		err = os.WriteFile(page, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// generate returns the text of the page as it should be now.
func generate() (string, error) {
	inv, err := parseInventory(casesText)
	if err != nil {
		return "", err
	}
	claims, err := findClaims(root)
	if err != nil {
		return "", err
	}
	if err := inv.add(claims); err != nil {
		return "", err
	}
	return inv.page(), nil
}
