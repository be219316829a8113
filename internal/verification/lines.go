package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A line is one row of the page.
type line struct{ Name, Figures string }

var (
	// verified finds the lines wherever they stand: go test puts a place before
	// what a test logs.
	verified = regexp.MustCompile(`(?m)^(?:\s*\S+\.go:\d+: )?verified: (.*)$`)
	fields   = regexp.MustCompile(`^([a-z]+): (.+?): (.+)$`)

	pass = regexp.MustCompile(`(?m)^\s*--- PASS: `)
)

// parse returns the lines of one tier from what a run has printed, in the order
// of their names: tests may change places.
func parse(output []byte, tier string) (lines []line, err error) {
	for _, match := range verified.FindAllSubmatch(output, -1) {
		f := fields.FindSubmatch(match[1])
		if f == nil {
			return nil, fmt.Errorf("%s printed %q, which is not of the form verified: tier: name: figures", tier, match[0])
		}
		if of := string(f[1]); !known(of) {
			return nil, fmt.Errorf("%s printed %q: there is no tier %s", tier, match[0], of)
		} else if of != tier {
			continue
		}
		l := line{string(f[2]), string(bytes.TrimSpace(f[3]))}
		if slices.ContainsFunc(lines, func(other line) bool { return other.Name == l.Name }) {
			return nil, fmt.Errorf("%s has verified %q twice", tier, l.Name)
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.Name, b.Name) })
	return lines, nil
}

func known(name string) bool {
	return slices.ContainsFunc(tiers, func(t tier) bool { return t.Name == name })
}

// passed counts the tests and subtests that go test -v says have passed.
func passed(output []byte) int { return len(pass.FindAll(output, -1)) }
