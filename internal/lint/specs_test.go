package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// stepLabel finds the labels of a Promela source that name a step: L1, C20, Q30.
var stepLabel = regexp.MustCompile(`(?m)^\s*([LCQ]\d+):`)

// modelLabel returns the label of a probe point in the models; "" for those that
// no model has. Numbers are unique from 30 on.
func modelLabel(p probe.Point) string {
	kind, number, _ := strings.Cut(p.String(), " ")
	switch {
	case kind == "lock" && number != "":
		return "L" + number
	case kind == "claim":
		return "C" + number
	case p >= probe.Put30:
		return "Q" + number
	}
	return ""
}

// TestSpecs compares the labels of the models with the names of the probe
// points: each step of taking and releasing a lock, of claiming a slot, of
// putting into and getting from a ring, of a pool's chunks, and of the primitives
// that several processes hold at once, is modelled, and no model has a step that
// the code does not have.
func TestSpecs(t *testing.T) {
	steps := make(map[string]bool)
	modelled := append(probe.Points(probe.Lock1, probe.Member62), probe.Points(probe.Publish102, probe.Pause173)...)
	modelled = append(modelled, probe.Points(probe.RW201, probe.RW221)...)
	modelled = append(modelled, probe.Points(probe.Bound241, probe.Bound253)...)
	modelled = append(modelled, probe.Points(probe.Cond271, probe.Cond284)...)
	modelled = append(modelled, probe.Points(probe.Bar301, probe.Bar309)...)
	modelled = append(modelled, probe.Points(probe.WaitGroup331, probe.WaitGroup345)...)
	for _, p := range modelled {
		if label := modelLabel(p); label != "" {
			steps[label] = false
		}
	}
	require.Len(t, steps, 13+8+7+7+6+6+37+21+13+14+9+15)

	models, err := filepath.Glob("../../docs/specs/*.pml")
	require.NoError(t, err)
	require.NotEmpty(t, models)
	for _, model := range models {
		text, err := os.ReadFile(model)
		require.NoError(t, err)
		for _, match := range stepLabel.FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, steps, match[1], "%s has a step that is no probe point", filepath.Base(model))
			steps[match[1]] = true
		}
	}
	for label, modelled := range steps {
		require.True(t, modelled, "no model in docs/specs has the step %s", label)
	}
}
