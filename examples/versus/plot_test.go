package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The plot is XML, and has a line for each kind and job.
func TestPlot(t *testing.T) {
	times := map[string][]time.Duration{
		goroutine: {100, 50, 50, 50},
		thread:    {100, 60, 60, 60},
		process:   {110, 55, 56, 57},
	}
	var svg bytes.Buffer
	require.NoError(t, plot(&svg, []curves{{"computing", times}, {"one lock", times}}))
	require.Equal(t, 6, strings.Count(svg.String(), "<polyline "))
	for kind := range times {
		require.Contains(t, svg.String(), ">"+kind+"<")
	}
	for d := xml.NewDecoder(&svg); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
	}
}

// The plot in the course is that of the tables beside it: what is drawn from their
// figures has the same lines. A figure has three digits, so the ratio of two is good to one
// in a hundred, which is two units of the panel's height; and the plot is rounded, too.
func TestCourseShowsThePlotOfItsTables(t *testing.T) {
	chapter, err := os.ReadFile("../../docs/course/2-processes-or-threads.md")
	require.NoError(t, err)
	var drawn bytes.Buffer
	require.NoError(t, plot(&drawn, []curves{readCurves(t, string(chapter), "5a"), readCurves(t, string(chapter), "5b")}))
	shown, err := os.ReadFile("../../docs/course/versus.svg")
	require.NoError(t, err)

	want, got := polylines(t, drawn.String()), polylines(t, string(shown))
	require.Len(t, want, 6)
	require.Len(t, got, len(want))
	for i := range want {
		require.Len(t, got[i], len(want[i]))
		require.InDeltaSlice(t, want[i], got[i], 2.2, "line %d", i)
	}
}

// readCurves reads one table of the chapter.
func readCurves(t *testing.T, chapter, name string) curves {
	t.Helper()
	_, table, found := strings.Cut(chapter, "**"+name+". ")
	require.True(t, found, name)
	c := curves{Times: map[string][]time.Duration{}}
	for _, n := range counts {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d +\|(.*)\|(.*)\|(.*)\|$`, n)).FindStringSubmatch(table)
		require.NotNil(t, row, "%s, %d workers", name, n)
		for i, kind := range []string{goroutine, thread, process} {
			d, err := time.ParseDuration(strings.ReplaceAll(row[1+i], " ", ""))
			require.NoError(t, err)
			c.Times[kind] = append(c.Times[kind], d)
		}
	}
	return c
}

// polylines returns the coordinates of all lines of a plot.
func polylines(t *testing.T, svg string) (lines [][]float64) {
	t.Helper()
	for _, m := range regexp.MustCompile(`<polyline points="([^"]*)"`).FindAllStringSubmatch(svg, -1) {
		var line []float64
		for _, f := range strings.FieldsFunc(m[1], func(r rune) bool { return r == ' ' || r == ',' }) {
			x, err := strconv.ParseFloat(f, 64)
			require.NoError(t, err)
			line = append(line, x)
		}
		lines = append(lines, line)
	}
	return lines
}
