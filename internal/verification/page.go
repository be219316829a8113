package main

import (
	"bytes"
	_ "embed"
	"strings"
	"text/template"
	"time"

	"github.com/go-multiproc/multiproc/internal/machine"
)

// A page is what all runs together came to.
type page struct {
	Begin, End time.Time
	Machine    machine.Machine
	Runs       []run
}

//go:embed verification.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("verification.md").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) time.Duration { return d.Round(time.Second) },
	"cell":    func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
}).Parse(pageText))

// text returns the text of docs/verification.md.
func (p *page) text() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, p)
	return b.Bytes(), err
}

// Took is how long all of it lasted.
func (p *page) Took() time.Duration { return p.End.Sub(p.Begin) }
