package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
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
