// Package measure is what the examples that measure have in common. They print
// tables, which look the same on a terminal and in the source of a Markdown page,
// and say by which machine the figures were made.
package measure

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-multiproc/multiproc/internal/machine"
)

// A Table is figures under a title.
type Table struct {
	Title string
	rows  [][]string
}

// NewTable returns a table that has a head and no rows. The first column is for
// words, the others are for figures.
func NewTable(title string, head ...string) *Table {
	return &Table{Title: title, rows: [][]string{head}}
}

// Add adds a row. Durations are written with the digits that count, everything else
// as fmt does.
func (t *Table) Add(cells ...any) {
	var row []string
	for _, c := range cells {
		if d, ok := c.(time.Duration); ok {
			row = append(row, Short(d))
		} else {
			row = append(row, fmt.Sprint(c))
		}
	}
	t.rows = append(t.rows, row)
}

// String returns the title and the table in Markdown.
func (t *Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", t.Title)
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), len("---:"))
		}
	}
	for i, row := range t.rows {
		b.WriteString(line(row, widths))
		if i == 0 {
			b.WriteString(rule(widths))
		}
	}
	return b.String()
}

func line(row []string, widths []int) string {
	text := fmt.Sprintf("| %-*s |", widths[0], row[0])
	for i, cell := range row[1:] {
		text += fmt.Sprintf(" %*s |", widths[i+1], cell)
	}
	return text + "\n"
}

func rule(widths []int) string {
	text := "|" + strings.Repeat("-", widths[0]+2) + "|"
	for _, w := range widths[1:] {
		text += strings.Repeat("-", w+1) + ":|"
	}
	return text + "\n"
}

// Short writes a duration with three digits that count: 12.3 µs. It rounds before it
// chooses the unit: 999.96 µs are 1.00 ms.
func Short(d time.Duration) string {
	switch d = rounded(d); {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		return digits(d, time.Microsecond) + " µs"
	case d < time.Second:
		return digits(d, time.Millisecond) + " ms"
	default:
		return digits(d, time.Second) + " s"
	}
}

func rounded(d time.Duration) time.Duration {
	last := time.Duration(1) // what the third digit counts
	for d/last >= 1000 {
		last *= 10
	}
	return d.Round(last)
}

func digits(d, unit time.Duration) string {
	x := float64(d) / float64(unit)
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

// Time returns how long a call takes.
func Time(call func() error) (time.Duration, error) {
	begin := time.Now()
	err := call()
	return time.Since(begin), err
}

// Median returns the median of so many rounds.
func Median(rounds int, round func() (time.Duration, error)) (time.Duration, error) {
	var figures []time.Duration
	for range rounds {
		d, err := round()
		if err != nil {
			return 0, err
		}
		figures = append(figures, d)
	}
	slices.Sort(figures)
	return figures[len(figures)/2], nil
}

// Origin says where figures come from. Those of a quick run, which is there to see
// that the program works, are nobody's.
func Origin(ctx context.Context, quick bool) string {
	if quick {
		return "A quick run: its figures say nothing."
	}
	m := machine.Describe(ctx)
	return fmt.Sprintf("Measured on %s: %s, %s, %s, load before the run %s.",
		time.Now().UTC().Format(time.DateOnly), m, m.Kernel, m.Go, m.Load)
}
