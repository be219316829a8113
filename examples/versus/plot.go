package main

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"slices"
	"text/template"
	"time"
)

//go:embed plot.svg.tmpl
var plotText string

// Sizes of one panel, in the units of the template.
const (
	panelWidth  = 280.0
	panelHeight = 220.0
)

// A pen is how one kind is drawn.
type pen struct{ Kind, Colour, Dashes string }

var pens = []pen{{goroutine, "seagreen", ""}, {thread, "darkorange", "8 3"}, {process, "royalblue", "2 3"}}

// A label is a word at a place.
type label struct {
	X, Y float64
	Text string
}

// A panel is one job; its lines are as high as one kind is fast. One is the speed of
// one goroutine.
type panel struct {
	Left           float64
	Title          string
	Marks, Workers []label
	Lines          []drawn
}

type drawn struct {
	pen
	Points string
}

type entry struct {
	pen
	label
}

// plot draws how fast each kind is with more and more workers.
func plot(w io.Writer, growth []curves) error {
	t, err := template.New("plot.svg").Parse(plotText)
	if err != nil {
		return err
	}
	var page struct {
		Panels []panel
		Legend []entry
	}
	titles := []string{"computing: times as fast as one goroutine", "one lock: times as fast as one goroutine"}
	for i, g := range growth {
		p := newPanel(g)
		p.Left = 70 + 370*float64(i)
		p.Title = titles[i]
		page.Panels = append(page.Panels, p)
	}
	for i, p := range pens {
		page.Legend = append(page.Legend, entry{p, label{X: 200 + 130*float64(i), Text: p.Kind}})
	}
	return t.Execute(w, page)
}

func newPanel(g curves) (p panel) {
	one := g.Times[goroutine][0]
	speed := func(d time.Duration) float64 { return float64(one) / float64(max(d, 1)) }
	top := 1.0
	for _, times := range g.Times {
		top = max(top, speed(slices.Min(times)))
	}
	top *= 1.1
	x := func(i int) float64 { return panelWidth * (float64(i) + 0.5) / float64(len(counts)) }
	y := func(speed float64) float64 { return panelHeight * (1 - speed/top) }
	for i, n := range counts {
		p.Workers = append(p.Workers, label{X: x(i), Text: fmt.Sprint(n)})
	}
	for mark := 0.0; mark < top; mark += max(0.5, math.Round(top/6)) {
		p.Marks = append(p.Marks, label{Y: y(mark), Text: fmt.Sprint(mark)})
	}
	for _, pen := range pens {
		line := drawn{pen: pen}
		for i, d := range g.Times[pen.Kind] {
			line.Points += fmt.Sprintf("%.1f,%.1f ", x(i), y(speed(d)))
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}
