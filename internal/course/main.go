// Course writes what was measured into the chapters of docs/course. A chapter has
// the command between two comments, and below it what the command prints:
//
//	<!-- measured: go run ./examples/batch -->
//	...
//	<!-- end -->
//
// Usage: course CHAPTER...
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

func main() {
	log.SetFlags(0)
	for _, chapter := range os.Args[1:] {
		if err := rewrite(chapter); err != nil {
			log.Fatalf("course: %s: %v", chapter, err)
		}
	}
}

var measured = regexp.MustCompile(`(?s)(<!-- measured: ([^\n]+) -->\n).*?(<!-- end -->)`)

// rewrite runs the commands of a chapter and puts what they print into their places.
func rewrite(chapter string) error {
	text, err := os.ReadFile(chapter)
	if err != nil {
		return err
	}
	var written strings.Builder
	end := 0
	for _, at := range measured.FindAllSubmatchIndex(text, -1) {
		command := string(text[at[4]:at[5]])
		out, err := run(command)
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		written.Write(text[end:at[3]]) // up to the end of the first comment
		written.Write(out)
		end = at[6] // where the second one begins
	}
	written.Write(text[end:])
	return os.WriteFile(chapter, []byte(written.String()), 0o644)
}

func run(command string) ([]byte, error) {
	fmt.Fprintln(os.Stderr, command)
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}
