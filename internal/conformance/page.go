package main

import (
	"fmt"
	"strings"
)

const head = `<!-- Written by internal/conformance: make docs. Do not edit. -->

# Conformance

What has become of each test case of CPython's multiprocessing (` + "`Lib/test/_test_multiprocessing.py`" + `, version 3.13), and of those of ` + "`Lib/test/test_concurrent_futures`" + ` that are about its executor of processes. A case is re-created by its behaviour, in Go's form and in words of our own: a context where Python takes a time-out, an error where it raises an exception. The test says above its name which case it is, and this page is written from these comments.

- **done**: our test shows the same behaviour.
- **differs**: our test shows another behaviour, on purpose; the reason stands beside it.
- **later**: what the case tests is not built yet.
- **does not apply**: it tests a part of Python itself, or of Windows.

`

// page returns the text of docs/conformance.md.
func (inv *inventory) page() string {
	var b strings.Builder
	b.WriteString(head)
	inv.totals(&b)
	for _, a := range inv.areas {
		fmt.Fprintf(&b, "\n## %s\n", a.title)
		for _, c := range a.classes {
			fmt.Fprintf(&b, "\n### `%s`\n\n| case | status | our test |\n|---|---|---|\n", c.name)
			for _, k := range c.cases {
				k.row(&b)
			}
		}
	}
	return b.String()
}

// totals writes how many cases of each area have each status.
func (inv *inventory) totals(b *strings.Builder) {
	b.WriteString("| area | cases | done | differs | later | does not apply |\n|---|---|---|---|---|---|\n")
	var all [statuses]int
	for _, a := range inv.areas {
		var sum [statuses]int
		for _, c := range a.classes {
			for _, k := range c.cases {
				sum[k.now().status]++
				all[k.now().status]++
			}
		}
		totalsRow(b, a.title, sum)
	}
	totalsRow(b, "**all**", all)
}

func totalsRow(b *strings.Builder, title string, sum [statuses]int) {
	cases := 0
	for _, n := range sum {
		cases += n
	}
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d |\n", title, cases, sum[done], sum[differs], sum[later], sum[never])
}

func (k *testCase) row(b *strings.Builder) {
	f := k.now()
	text := f.status.String()
	if f.why != "" {
		text += ": " + strings.ReplaceAll(f.why, "|", `\|`)
	}
	var links []string
	for _, c := range k.claims {
		links = append(links, c.link())
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", k.name, text, strings.Join(links, ", "))
}
