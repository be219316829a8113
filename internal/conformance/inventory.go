package main

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed cases.txt
var casesText string

// A status says what has become of a case.
type status int

const (
	done    status = iota
	differs        // done, but behaves otherwise for a reason
	later
	never // does not apply
	statuses
)

func (s status) String() string {
	return [...]string{"done", "differs", "later", "does not apply"}[s]
}

// An inventory is the list of all cases, in the order of the file.
type inventory struct {
	areas []*area
	cases map[string]*testCase // by "Class.method"
}

type area struct {
	title   string
	classes []*class
}

type class struct {
	name  string
	fate  fate
	cases []*testCase
}

type testCase struct {
	mark   string // P, M, C or X, see cases.txt
	name   string
	fate   fate // without a test
	claims []claim
}

// A fate is a status and the reason for it.
type fate struct {
	status status
	why    string
}

// parseInventory reads the form that is described at the head of cases.txt.
func parseInventory(text string) (*inventory, error) {
	inv := &inventory{cases: make(map[string]*testCase)}
	var a *area
	var c *class
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		key, rest, _ := strings.Cut(line, " ")
		var err error
		switch {
		case key == "area":
			a, c = &area{title: rest}, nil
			inv.areas = append(inv.areas, a)
		case a == nil:
			err = errors.New("stands before the first area")
		case key == "class":
			c = &class{}
			a.classes = append(a.classes, c)
			c.name, c.fate, err = parseFate(rest, fate{})
		case c == nil:
			err = errors.New("stands before the first class of its area")
		default:
			err = inv.parseCase(c, key, rest)
		}
		if err != nil {
			return nil, fmt.Errorf("cases.txt:%d: %q: %w", i+1, line, err)
		}
	}
	return inv, nil
}

func (inv *inventory) parseCase(c *class, mark, rest string) (err error) {
	k := &testCase{mark: mark}
	if k.name, k.fate, err = parseFate(rest, c.fate); err != nil {
		return err
	}
	switch full := c.name + "." + k.name; {
	case !strings.HasPrefix(k.name, "test_"):
		return errors.New("a case begins with test_")
	case inv.cases[full] != nil:
		return errors.New("is listed twice")
	default:
		inv.cases[full] = k
	}
	c.cases = append(c.cases, k)

	portable := k.fate.status == later
	switch {
	case (mark == "P" || mark == "M") && portable, mark == "C", mark == "X" && !portable:
		return nil
	case strings.Contains("PMX", mark):
		return fmt.Errorf("the mark contradicts the fate %q", k.fate.status)
	}
	return fmt.Errorf("unknown mark %q", mark)
}

// parseFate reads "NAME STATUS: WHY" or, where there is an inherited fate, NAME.
func parseFate(text string, inherited fate) (name string, f fate, err error) {
	name, text, found := strings.Cut(text, " ")
	if !found && inherited.why != "" {
		return name, inherited, nil
	}
	word, why, _ := strings.Cut(text, ": ")
	switch {
	case why == "":
		return "", fate{}, errors.New("has no reason")
	case word == "later":
		return name, fate{later, why}, nil
	case word == "never":
		return name, fate{never, why}, nil
	}
	return "", fate{}, fmt.Errorf("unknown status %q", word)
}

// add gives each claim to its case.
func (inv *inventory) add(claims []claim) error {
	var unknown []error
	for _, c := range claims {
		if k := inv.cases[c.name]; k != nil {
			k.claims = append(k.claims, c)
		} else {
			unknown = append(unknown, fmt.Errorf("%s: CPython has no test case %s (see cases.txt)", c.position, c.name))
		}
	}
	return errors.Join(unknown...)
}

// now returns the fate of a case in the light of our tests. What one test does
// otherwise, the case does otherwise.
func (k *testCase) now() fate {
	if len(k.claims) == 0 {
		return k.fate
	}
	var reasons []string
	for _, c := range k.claims {
		if c.differs != "" {
			reasons = append(reasons, c.differs)
		}
	}
	if reasons == nil {
		return fate{status: done}
	}
	return fate{differs, strings.Join(reasons, "; ")}
}
