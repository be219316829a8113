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

// stepLabel finds the labels of a Promela source that name a step: L1, C20.
var stepLabel = regexp.MustCompile(`(?m)^\s*([LC]\d+):`)

// modelLabel returns the label of a probe point in the models; "" for those that
// no model has.
func modelLabel(p probe.Point) string {
	name := p.String()
	if number, ok := strings.CutPrefix(name, "lock "); ok {
		return "L" + number
	}
	if number, ok := strings.CutPrefix(name, "claim "); ok {
		return "C" + number
	}
	return ""
}

// TestSpecs compares the labels of the models with the names of the probe
// points: each step of taking and releasing a lock, and of claiming a slot, is
// modelled, and no model has a step that the code does not have.
func TestSpecs(t *testing.T) {
	steps := make(map[string]bool)
	for _, p := range probe.Points(probe.Lock1, probe.Claim27) {
		if label := modelLabel(p); label != "" {
			steps[label] = false
		}
	}
	require.Len(t, steps, 13+8)

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
