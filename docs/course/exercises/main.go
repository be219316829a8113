// Exercises runs the tests of all exercises and shows which pass.
//
//	go run .         shows it
//	go run . -check  fails unless each exercise as it was handed out compiles and fails, and
//	                 each solution passes
//
// An exercise is a folder. What is to be written is in its one file that is no
// test; a solution has the same name below solutions.
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

func main() {
	log.SetFlags(0)
	checking := flag.Bool("check", false, "see that the exercises fail and the solutions pass")
	flag.Parse()

	if err := run(*checking); err != nil {
		log.Fatal(err)
	}
}

func run(checking bool) error {
	solutions, err := filepath.Glob("solutions/*/*.go")
	if err != nil {
		return err
	}
	outcomes, err := test()
	if err != nil {
		return err
	}
	if !checking {
		show(solutions, outcomes)
		return nil
	}
	if err := all(solutions, outcomes, "not yet"); err != nil {
		return err
	}
	overlay, err := replace(solutions)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(overlay) }()
	if outcomes, err = test("-overlay", overlay); err != nil {
		return err
	}
	if err := all(solutions, outcomes, "passes"); err != nil {
		return err
	}
	fmt.Printf("%d exercises fail as they are handed out, and their solutions pass\n", len(solutions))
	return nil
}

func show(solutions []string, outcomes map[string]string) {
	passed := 0
	for _, s := range solutions {
		outcome := outcomes[exercise(s)]
		fmt.Printf("%-16s %s\n", exercise(s), outcome)
		if outcome == "passes" {
			passed++
		}
	}
	fmt.Printf("%d of %d pass\n", passed, len(solutions))
}

// all returns an error unless each exercise has this outcome.
func all(solutions []string, outcomes map[string]string, want string) error {
	for _, s := range solutions {
		if got := outcomes[exercise(s)]; got != want {
			return fmt.Errorf("exercise %s: %q, where %q is expected", exercise(s), got, want)
		}
	}
	return nil
}

// exercise is the folder that a solution is for.
func exercise(solution string) string { return filepath.Base(filepath.Dir(solution)) }

// replace writes a file that has go build read each solution in the place of what
// was handed out, and returns its name.
func replace(solutions []string) (name string, err error) {
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for _, s := range solutions {
		handedOut, err := filepath.Abs(filepath.Join(exercise(s), filepath.Base(s)))
		if err != nil {
			return "", err
		}
		if overlay.Replace[handedOut], err = filepath.Abs(s); err != nil {
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

// verdict is the line of go test about one package.
var verdict = regexp.MustCompile(`(?m)^(ok|FAIL)\s+\S+/(\d+-\d+-\w+)\s+(\S+)`)

// test runs the tests of all exercises and returns how each came out.
func test(flags ...string) (outcomes map[string]string, err error) {
	args := append([]string{"test", "-timeout=1m"}, flags...)
	out, err := exec.Command("go", append(args, "./...")...).CombinedOutput()
	outcomes = map[string]string{}
	for _, m := range verdict.FindAllStringSubmatch(string(out), -1) {
		switch {
		case m[1] == "ok":
			outcomes[m[2]] = "passes"
		case strings.HasPrefix(m[3], "["):
			outcomes[m[2]] = "does not compile"
		default:
			outcomes[m[2]] = "not yet"
		}
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("go test: %w\n%s", err, out)
	}
	return outcomes, nil
}
