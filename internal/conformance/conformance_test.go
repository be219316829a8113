package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageIsCurrent(t *testing.T) {
	want, err := generate()
	require.NoError(t, err)
	got, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "docs/conformance.md is stale: run make docs")
}

// TestInventoryIsComplete counts the cases that CPython 3.13 has.
func TestInventoryIsComplete(t *testing.T) {
	inv, err := parseInventory(casesText)
	require.NoError(t, err)
	classes := 0
	marks := make(map[string]int)
	areas := make(map[string]int)
	for _, a := range inv.areas {
		classes += len(a.classes)
		for _, c := range a.classes {
			areas[a.title] += len(c.cases)
			for _, k := range c.cases {
				marks[k.mark]++
			}
		}
	}
	require.Len(t, inv.cases, 316)
	require.Equal(t, 64, classes)
	require.Equal(t, map[string]int{"P": 218, "M": 31, "C": 7, "X": 60}, marks)
	require.Equal(t, map[string]int{
		"Processes": 33, "Start methods and contexts": 9, "Pools": 37, "Executors and futures": 85, "Queues": 15,
		"Locks and other synchronisation": 28, "Connections, listeners, waiting": 38,
		"Shared arrays and values": 12, "Named shared memory": 23, "Managers": 30, "Python's own machinery": 6,
	}, areas)
}

func TestParseInventoryRefuses(t *testing.T) {
	const class = "area A\nclass C later: comes later\n"
	for _, tt := range []struct{ text, want string }{
		{"class C later: x", "cases.txt:1:"},
		{"class C later: x", "before the first area"},
		{"area A\nP test_a later: x", "before the first class"},
		{class + "area B\nP test_a later: x", "before the first class"},
		{"area A\nclass C", "has no reason"},
		{"area A\nclass C later:", "has no reason"},
		{"area A\nclass C soon: x", `unknown status "soon"`},
		{class + "P a", "begins with test_"},
		{class + "P test_a\nP test_a", "listed twice"},
		{class + "P test_a never: x", "contradicts"},
		{class + "M test_a never: x", "contradicts"},
		{class + "X test_a", "contradicts"},
		{class + "Y test_a", `unknown mark "Y"`},
	} {
		_, err := parseInventory(tt.text)
		require.ErrorContains(t, err, tt.want, tt.text)
	}
}

func TestClaims(t *testing.T) {
	claims, err := claimsIn("shm/array_test.go", []byte(`package shm

// TestA tests.
//
// Python: C.test_a
// Python: C.test_b — differs: an error | no exception
func TestA(t *testing.T) {}

// Python: C.test_b
func TestB(t *testing.T) {}
`))
	require.NoError(t, err)
	inv, err := parseInventory("area A\nclass C later: comes with it\nP test_a\nP test_b\nP test_c\nX test_d never: Windows\n")
	require.NoError(t, err)
	require.NoError(t, inv.add(claims))
	_, text, _ := strings.Cut(inv.page(), "| area ")
	require.Equal(t, `| cases | done | differs | later | does not apply |
|---|---|---|---|---|---|
| A | 4 | 1 | 1 | 1 | 1 |
| **all** | 4 | 1 | 1 | 1 | 1 |

## A

### `+"`C`"+`

| case | status | our test |
|---|---|---|
| `+"`test_a`"+` | done | [shm.TestA](../shm/array_test.go) |
| `+"`test_b`"+` | differs: an error \| no exception | [shm.TestA](../shm/array_test.go), [shm.TestB](../shm/array_test.go) |
| `+"`test_c`"+` | later: comes with it |  |
| `+"`test_d`"+` | does not apply: Windows |  |
`, text)

	claims[0].name = "C.test_z"
	require.EqualError(t, inv.add(claims), "shm/array_test.go:5: CPython has no test case C.test_z (see cases.txt)")
}

// TestLostClaims shows comments that would silently claim nothing.
func TestLostClaims(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"// Python: C.test_a\n\nfunc TestA() {}", "a_test.go:3: \"// Python: C.test_a\" stands above no test"},
		{"// Python: C.test_a\nfunc helper() {}", "stands above no test"},
		{"// Python: C.test_a\nfunc (s) TestA() {}", "stands above no test"},
		{"func TestA() {\n\t// Python: C.test_a\n}", "stands above no test"},
		{"// Python: test_a\nfunc TestA() {}", "is not of the form"},
		{"// Python: C.test_a, C.test_b\nfunc TestA() {}", "is not of the form"},
		{"// Python: C.test_a - differs: a hyphen\nfunc TestA() {}", "is not of the form"},
		{"// Python: C.test_a — differs:\nfunc TestA() {}", "is not of the form"},
	} {
		claims, err := claimsIn("a_test.go", []byte("package a\n\n"+tt.src))
		require.ErrorContains(t, err, tt.want)
		require.Empty(t, claims)
	}
}

func TestFindClaimsStaysInTheModule(t *testing.T) {
	root := t.TempDir()
	for name, src := range map[string]string{
		"go.mod":                   "module m",
		"a/a_test.go":              "package a\n// Python: C.test_a\nfunc TestA() {}",
		"a/a.go":                   "package a\n// Python: C.test_b\nfunc TestA() {}",
		"a/testdata/a_test.go":     "package a\n// Python: C.test_c\nfunc TestA() {}",
		".hidden/a_test.go":        "package a\n// Python: C.test_d\nfunc TestA() {}",
		"bench/go.mod":             "module bench",
		"bench/inside/any_test.go": "package a\n// Python: C.test_e\nfunc TestA() {}",
	} {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(src), 0o644))
	}
	claims, err := findClaims(root)
	require.NoError(t, err)
	require.Equal(t, []claim{{name: "C.test_a", file: "a/a_test.go", test: "TestA", position: "a/a_test.go:2"}}, claims)
}
