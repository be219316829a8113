package proc_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

func itoa(n int) string { return strconv.Itoa(n) }

// family returns the names of a process and its descendants: two children at
// each level.
var family = proc.Register("family", func(ctx context.Context, depth int) ([]string, error) {
	names := []string{proc.Current().Name}
	err := descend(ctx, depth, &names)
	return names, err
})

func descend(ctx context.Context, depth int, names *[]string) error {
	for i := 0; i < 2 && depth > 0; i++ {
		c, err := startFamily(ctx, depth-1)
		if err != nil {
			return err
		}
		kin, err := c.Result(ctx)
		if err != nil {
			return err
		}
		*names = append(*names, kin...)
	}
	return nil
}

// startFamily is set by init, as family would refer to itself.
var startFamily func(ctx context.Context, depth int) (*proc.Call[[]string], error)

func init() {
	startFamily = func(ctx context.Context, depth int) (*proc.Call[[]string], error) {
		return family.Start(ctx, depth, nil)
	}
}

// patriarch is a program that nobody started a child in before: numbers begin
// at one.
var patriarch = proctest.Register("patriarch", func(h *proctest.Helper) error {
	var names []string
	if err := descend(context.Background(), 2, &names); err != nil {
		return err
	}
	h.Say(strings.Join(names, " "))

	c, err := family.Start(context.Background(), 1, &proc.Options{Name: "worker"})
	if err != nil {
		return err
	}
	names, err = c.Result(context.Background())
	h.Say(strings.Join(names, " "))
	return err
})

// Python: _TestProcess.test_recursion
func TestNames(t *testing.T) {
	proctest.NoLeaks(t)
	p := patriarch.Start(t, nil)
	p.Expect(t, "Process-1 Process-1:1 Process-1:2 Process-2 Process-2:1 Process-2:2")
	p.Expect(t, "worker worker:1 worker:2")
	require.NoError(t, p.Wait(t))
}
