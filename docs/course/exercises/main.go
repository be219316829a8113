// Exercises runs the tests of all exercises and shows which pass.
//
//	go run .         shows it
//	go run . -check  fails unless each exercise as it was handed out compiles and fails, and
//	                 each solution passes
//
// An exercise is a folder, three for each chapter of the course. What is to be written is
// in its one file that is no test; a solution has the same name below solutions.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const chapters, each = 6, 3

func main() {
	log.SetFlags(0)
	checking := flag.Bool("check", false, "see that the exercises fail and the solutions pass")
	flag.Parse()

	if err := run(*checking); err != nil {
		log.Fatal(err)
	}
}

func run(checking bool) error {
	exercises, err := find()
	if err != nil {
		return err
	}
	outcomes, err := test()
	if err != nil {
		return err
	}
	if !checking {
		show(exercises, outcomes)
		return nil
	}
	if err := all(exercises, outcomes, notYet); err != nil {
		return err
	}
	overlay, err := replace(exercises)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(overlay) }()
	if outcomes, err = test("-overlay", overlay); err != nil {
		return err
	}
	if err := all(exercises, outcomes, passes); err != nil {
		return err
	}
	fmt.Printf("%d exercises fail as they are handed out, and their solutions pass\n", len(exercises))
	return nil
}

// An exercise is a folder, and the file that is to be completed.
type exercise struct{ folder, file string }

func (e exercise) handedOut() string { return filepath.Join(e.folder, e.file) }
func (e exercise) solution() string  { return filepath.Join("solutions", e.folder, e.file) }

// find returns all exercises. Each has its place in the course, one file to complete,
// and a solution; and nothing is left over.
func find() (exercises []exercise, err error) {
	for i := range chapters * each {
		folder, err := one(fmt.Sprintf("%d-%d-*", i/each+1, i%each+1))
		if err != nil {
			return nil, err
		}
		solution, err := one(filepath.Join("solutions", folder, "*"))
		if err != nil {
			return nil, err
		}
		e := exercise{folder, filepath.Base(solution)}
		if _, err := one(e.handedOut()); err != nil {
			return nil, err
		}
		exercises = append(exercises, e)
	}
	for _, pattern := range []string{"*-*-*", "solutions/*"} {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(folders) != len(exercises) {
			return nil, fmt.Errorf("%s: %d paths match, where %d are expected: %q", pattern, len(folders), len(exercises), folders)
		}
	}
	return exercises, nil
}

// one returns the only path that matches the pattern.
func one(pattern string) (path string, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(paths) != 1 {
		return "", fmt.Errorf("%s: %d paths match, where one is expected: %q", pattern, len(paths), paths)
	}
	return paths[0], nil
}

func show(exercises []exercise, outcomes map[string]outcome) {
	passed := 0
	for _, e := range exercises {
		verdict := outcomes[e.folder].verdict
		fmt.Printf("%-16s %s\n", e.folder, verdict)
		if verdict == passes {
			passed++
		}
	}
	fmt.Printf("%d of %d pass\n", passed, len(exercises))
}

// all returns an error unless each exercise has this verdict.
func all(exercises []exercise, outcomes map[string]outcome, want string) error {
	for _, e := range exercises {
		if got := outcomes[e.folder]; got.verdict != want {
			return fmt.Errorf("exercise %s: %q, where %q is expected\n%s", e.folder, got.verdict, want, got.output)
		}
	}
	return nil
}

// replace writes a file that has go build read each solution in the place of what
// was handed out, and returns its name.
func replace(exercises []exercise) (name string, err error) {
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for _, e := range exercises {
		handedOut, err := filepath.Abs(e.handedOut())
		if err != nil {
			return "", err
		}
		if overlay.Replace[handedOut], err = filepath.Abs(e.solution()); err != nil {
			return "", err
		}
	}
	f, err := os.CreateTemp("", "overlay-*.json")
	if err != nil {
		return "", err
	}
	if err := json.NewEncoder(f).Encode(overlay); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// An outcome is what go test says of one package: what was printed, and in a word.
type outcome struct{ verdict, output string }

const (
	passes = "passes"
	notYet = "not solved yet" // an exercise that was handed out says so itself
	fails  = "fails"
)

// last is the line of go test that ends what it prints of one package.
var last = regexp.MustCompile(`(?m)^(ok|FAIL)\s+\S+/(\d+-\d+-\w+)\s+(\[.*\])?.*$`)

// test runs the tests of all exercises and returns how each came out.
func test(flags ...string) (outcomes map[string]outcome, err error) {
	args := append([]string{"test", "-timeout=1m"}, flags...)
	out, err := exec.Command("go", append(args, "./...")...).CombinedOutput()
	outcomes = map[string]outcome{}
	rest := string(out)
	for m := last.FindStringSubmatch(rest); m != nil; m = last.FindStringSubmatch(rest) {
		printed, after, _ := strings.Cut(rest, m[0])
		o := outcome{verdict: fails, output: printed + m[0]}
		switch {
		case m[1] == "ok":
			o.verdict = passes
		case m[3] != "":
			o.verdict = m[3] // such as [build failed]
		case strings.Contains(printed, notYet):
			o.verdict = notYet
		}
		outcomes[m[2]] = o
		rest = after
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("go test: %w\n%s", err, out)
	}
	return outcomes, nil
}
