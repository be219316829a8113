package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/machine"
)

const printed = `make[1]: Entering directory '/src'
verified: crash: a claim: 8 kills: all at once
=== RUN   TestKill
=== RUN   TestKill/lock1
    crash_test.go:7: verified: crash: Lock, killed: 30 kills at 16 steps
--- PASS: TestKill (0.10s)
    --- PASS: TestKill/lock1 (0.05s)
=== RUN   TestCrowd
    crowd_test.go:9: 3 goroutines verified: nothing
    crowd_test.go:9: verified: stress: a crowd: 20 turns
--- PASS: TestCrowd (0.10s)
ok  	example/sync	1.2s
`

func TestParse(t *testing.T) {
	lines, err := parse([]byte(printed), "crash")
	require.NoError(t, err)
	require.Equal(t, []line{{"Lock, killed", "30 kills at 16 steps"}, {"a claim", "8 kills: all at once"}}, lines)
	lines, err = parse([]byte(printed), "stress")
	require.NoError(t, err)
	require.Equal(t, []line{{"a crowd", "20 turns"}}, lines, "a tier has its own lines only")
	require.Equal(t, 3, passed([]byte(printed)))
}

func TestParseRefuses(t *testing.T) {
	for output, complaint := range map[string]string{
		"verified: crash: no figures\n":                      "not of the form",
		"verified: crash: \n":                                "not of the form",
		"    a_test.go:1: verified: crush: a: 1\n":           "there is no tier crush",
		"verified: crash: a: 1\nverified: crash: a: 2\n":     `has verified "a" twice`,
		"verified: crash: a: 1\n  x.go:3: verified: crash\n": "not of the form",
	} {
		_, err := parse([]byte(output), "crash")
		require.ErrorContains(t, err, complaint, output)
	}
}

func shell(script string) tier {
	return tier{Name: "crash", command: []string{"sh", "-c", script}}
}

func TestRun(t *testing.T) {
	r, err := shell("echo verified: crash: a: 1; echo verified: spec: b: 2 >&2").run(t.Context())
	require.NoError(t, err)
	require.Equal(t, []line{{"a", "1"}}, r.Lines)
	require.Zero(t, r.Passed)

	_, err = shell("echo verified: crash: a: 1; exit 3").run(t.Context())
	require.ErrorContains(t, err, "crash: exit status 3")
	_, err = shell("echo all is well").run(t.Context())
	require.ErrorContains(t, err, "crash: it passed and showed nothing")
}

// Each tier is a target that the Makefile has.
func TestTiersAreTargets(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	for _, tier := range tiers {
		require.Regexp(t, regexp.MustCompile(`(?m)^`+tier.Name+`:`), string(makefile))
	}
}

func TestSelected(t *testing.T) {
	all, err := selected(nil)
	require.NoError(t, err)
	require.Equal(t, tiers, all)
	two, err := selected([]string{"spec", "crash"})
	require.NoError(t, err)
	require.Len(t, two, 2)
	require.Equal(t, "spec", two[0].Name)
	_, err = selected([]string{"crush"})
	require.ErrorContains(t, err, "there is no tier crush")
}

func TestRenew(t *testing.T) {
	dir := t.TempDir()
	abacus := machine.Machine{CPU: "Abacus", CPUs: 2, MemoryGB: 16, Kernel: "Linux 6.1", Go: "go1.26", Commit: "abc123"}
	later := abacus
	later.Kernel, later.Commit = "Linux 6.2", "def456"
	began := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	for _, r := range []run{
		{Tier: "spec", Began: began, Seconds: 40, Lines: []line{{"lock.pml", "1"}}, Machine: abacus},
		{Tier: "test", Began: began, Seconds: 60, Passed: 120, Machine: abacus},
		{Tier: "spec", Began: began.Add(time.Hour), Seconds: 30, Lines: []line{{"lock.pml", "3 | 4"}, {"claim.pml", "5"}}, Machine: later},
	} {
		require.NoError(t, renew(dir, r))
	}
	text, err := os.ReadFile(filepath.Join(dir, "verification.md"))
	require.NoError(t, err)
	for _, part := range []string{
		"| machine | Abacus, 2 CPUs, 16 GB |\n| kernel | Linux 6.1; Linux 6.2 |\n| Go | go1.26 |\n",
		"|---|---|--:|--:|---|---|\n| `make test` | everything works, with real processes | 120 | 1m0s | 2026-11-23 04:05 | abc123 |\n",
		"| `make race` | the same under the race detector |  |  | not yet |  |\n",
		" |  | 30s | 2026-11-23 05:05 | def456 |\n",
		"## How much\n\n### `make spec`\n\n| | |\n|---|---|\n| lock.pml | 3 \\| 4 |\n| claim.pml | 5 |\n\nHow to read",
	} {
		require.Contains(t, string(text), part)
	}
	require.NotContains(t, string(text), "### `make test`", "it has no figures")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "verification.json"), []byte("{"), 0o600))
	require.ErrorContains(t, renew(dir, run{Tier: "fuzz"}), "verification.json: unexpected end")
}

// The page says what the record says.
func TestPageOfRecord(t *testing.T) {
	rec, err := readRecord("../../docs")
	require.NoError(t, err)
	want, err := rec.page()
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/verification.md")
	require.NoError(t, err)
	require.Equal(t, string(want), string(page))
}
