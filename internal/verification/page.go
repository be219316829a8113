package main

import (
	"bytes"
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"github.com/go-multiproc/multiproc/internal/machine"
)

//go:embed verification.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("verification.md").Funcs(template.FuncMap{
	"cell": func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
}).Parse(pageText))

// A row is a tier and its last run, which is nil if there was none.
type row struct {
	tier
	Run *run
}

// page returns the text of docs/verification.md.
func (rec record) page() ([]byte, error) {
	var rows []row
	for _, t := range tiers {
		if r, ran := rec[t.Name]; ran {
			rows = append(rows, row{t, &r})
		} else {
			rows = append(rows, row{t, nil})
		}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"Rows":    rows,
		"Machine": rec.all(machine.Machine.String),
		"Kernel":  rec.all(func(m machine.Machine) string { return m.Kernel }),
		"Go":      rec.all(func(m machine.Machine) string { return m.Go }),
	})
	return b.Bytes(), err
}

// all returns what the machines of the runs were, the tiers in order.
func (rec record) all(what func(machine.Machine) string) string {
	var all []string
	for _, t := range tiers {
		if r, ran := rec[t.Name]; ran && !slices.Contains(all, what(r.Machine)) {
			all = append(all, what(r.Machine))
		}
	}
	return strings.Join(all, "; ")
}
