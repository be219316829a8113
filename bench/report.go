package main

import (
	_ "embed"
	"fmt"
	"io"
	"text/tabwriter"
	"text/template"
	"time"

	"github.com/go-multiproc/multiproc/internal/machine"
)

// A report is what one run of the program found.
type report struct {
	Begin, End time.Time
	Machine    machine.Machine
	Peers      []string // and their versions
	Subjects   []*subject
}

//go:embed performance.md.tmpl
var documentText string

// document writes docs/performance.md. The template is parsed here, not when the
// program begins: each child process would do that too.
func (r *report) document(w io.Writer) error {
	t, err := template.New("performance.md").Funcs(template.FuncMap{
		"figure":  figure,
		"seconds": func(d time.Duration) time.Duration { return d.Round(time.Second) },
	}).Parse(documentText)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// Took is how long the run lasted.
func (r *report) Took() time.Duration { return r.End.Sub(r.Begin) }

// print writes one subject's figures as a table for the terminal. (What goes to
// a tabwriter is written by Flush.)
func (r *report) print(w io.Writer, s *subject) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "\n%s\tmedian\tmin - max\t\n", s.Title)
	for _, c := range s.Contenders {
		if c.Absent != "" {
			_, _ = fmt.Fprintf(t, "  %s\t%s\t\t\n", c.Name, c.Absent)
			continue
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s - %s\t%s\n", c.Name, figure(c.Median()), figure(c.Min()), figure(c.Max()), s.UnitOf(c))
	}
	for _, c := range s.Counted() {
		_, _ = fmt.Fprintf(t, "  %s\t%d\t%d locked\tinstructions\n", c.Name, c.Path.Instructions, c.Path.Locked)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return verdictTable(w, s.Verdicts())
}

// summary counts the targets that are met.
func (r *report) summary(w io.Writer) error {
	outcomes := map[string]int{}
	for _, s := range r.Subjects {
		for _, v := range s.Verdicts() {
			outcomes[v.Outcome()]++
		}
	}
	_, err := fmt.Fprintf(w, "\n%d targets met, %d missed, %d not measured\n", outcomes[met], outcomes[missed], outcomes[unknown])
	return err
}

func verdictTable(w io.Writer, verdicts []verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range verdicts {
		_, _ = fmt.Fprintf(t, "  -> %s\t%s\tis %s\t%s\n", v.Ours, v.Bound(), v.Measured(), v.Outcome())
	}
	return t.Flush()
}

// UnitOf is the unit of a contender's figures.
func (s *subject) UnitOf(c *contender) string {
	if c.Unit != "" {
		return c.Unit
	}
	return s.Unit
}

// Bound says the target in words.
func (v verdict) Bound() string {
	relation := "at most"
	if v.atLeast {
		relation = "at least"
	}
	switch {
	case v.Peer == "":
		return fmt.Sprintf("%s %s %s", relation, figure(v.bound), v.Subject.UnitOf(v.Subject.contender(v.Ours)))
	case v.inverse:
		return fmt.Sprintf("%s %s × the speed of %s", relation, figure(v.bound), v.Peer)
	default:
		return fmt.Sprintf("%s %s × %s", relation, figure(v.bound), v.Peer)
	}
}

// Measured is the figure or ratio that the bound is held against.
func (v verdict) Measured() string {
	switch {
	case v.Missing != "":
		return v.Missing
	case v.Peer == "":
		return figure(v.Figure)
	default:
		return figure(v.Figure) + " ×"
	}
}

// Outcome says whether the target is met.
func (v verdict) Outcome() string {
	switch {
	case v.Missing != "":
		return unknown
	case v.Met():
		return met
	default:
		return missed
	}
}

// Outcomes of a target.
const (
	met     = "met"
	missed  = "MISSED"
	unknown = "not measured"
)

// figure has three digits that count, or all before the point.
func figure(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.1 || x == 0:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.4f", x)
	}
}
