//go:build stress && amd64

package sync_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The packages whose instructions are counted.
var counted = []string{"sync", "internal/roster", "internal/futex"}

const module = "github.com/go-multiproc/multiproc/"

// A coverage counts rounds, and the instructions that they executed and killed
// at.
type coverage struct {
	kills    int
	executed map[uintptr]bool
	killedAt map[uintptr]bool
	all      map[uintptr]string // each instruction of the counted packages, with its function
}

func newCoverage(t *testing.T) *coverage {
	return &coverage{executed: map[uintptr]bool{}, killedAt: map[uintptr]bool{}, all: instructions(t)}
}

// killed counts a kill. Each of our instructions must be in the disassembly:
// else that is of another program.
func (c *coverage) killed(t *testing.T, pc uintptr) {
	if f := runtime.FuncForPC(pc); f != nil && packageOf(runtime.FuncForPC(f.Entry()).Name()) != "" { // by its entry: not what is inlined
		require.NotEmpty(t, c.all[pc], where(pc))
	}
	c.kills++
	c.executed[pc] = true
	c.killedAt[pc] = true
}

func (c *coverage) add(other *coverage) {
	c.kills += other.kills
	maps.Copy(c.executed, other.executed)
	maps.Copy(c.killedAt, other.killedAt)
}

// report counts the distinct instructions: killed at, of those that the
// operations execute, of those that there are.
func (c *coverage) report() string {
	text := fmt.Sprintf("%d kills at %d distinct instructions", c.kills, len(c.killedAt))
	for _, pkg := range counted {
		in := func(pcs map[uintptr]bool) (n int) {
			for pc := range pcs {
				if packageOf(c.all[pc]) == pkg {
					n++
				}
			}
			return n
		}
		static := 0
		for _, function := range c.all {
			if packageOf(function) == pkg {
				static++
			}
		}
		text += fmt.Sprintf("; %s: %d of %d executed, of %d", pkg, in(c.killedAt), in(c.executed), static)
	}
	return text
}

// functions lists the coverage of each function that was entered.
func (c *coverage) functions() string {
	counts := map[string][3]int{}
	for pc, function := range c.all {
		n := counts[function]
		n[2]++
		if c.executed[pc] {
			n[1]++
		}
		if c.killedAt[pc] {
			n[0]++
		}
		counts[function] = n
	}
	var text strings.Builder
	for _, function := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[function]; n[1] > 0 {
			fmt.Fprintf(&text, "\n%4d of %4d of %4d  %s", n[0], n[1], n[2], strings.TrimPrefix(function, module))
		}
	}
	return text.String()
}

// disassembly is of this test's program, built once more, because go
// test leaves out the names that the disassembler goes by. It is the same
// machine code; killed looks that up.
var disassembly = sync.OnceValues(func() (map[uintptr]string, error) {
	dir, err := os.MkdirTemp("", "step-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the directory for such things
	program := filepath.Join(dir, "program")
	if out, err := exec.Command("go", "test", "-c", "-tags", "stress", "-o", program, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c: %w: %s", err, out)
	}
	text, err := exec.Command("go", "tool", "objdump", "-s", module, program).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool objdump: %w", err)
	}
	all := map[uintptr]string{}
	function := ""
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		fields := strings.Fields(in.Text())
		switch {
		case len(fields) > 1 && fields[0] == "TEXT":
			function = strings.TrimSuffix(fields[1], "(SB)")
		case len(fields) > 2 && packageOf(function) != "":
			pc, err := strconv.ParseUint(fields[1], 0, 64)
			if err != nil {
				return nil, fmt.Errorf("objdump says %q: %w", in.Text(), err)
			}
			all[uintptr(pc)] = function
		}
	}
	return all, nil
})

func instructions(t *testing.T) map[uintptr]string {
	all, err := disassembly()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// packageOf returns the counted package of a function, or nothing.
func packageOf(function string) string {
	for _, pkg := range counted {
		if strings.HasPrefix(function, module+pkg+".") {
			return pkg
		}
	}
	return ""
}

// ours returns the counted package that the instruction lies in.
func ours(pc uintptr) string {
	all, _ := disassembly()
	return packageOf(all[pc])
}

func inSpin(pc uintptr) bool {
	all, _ := disassembly()
	return all[pc] == module+"sync.spin"
}

// where describes an address.
func where(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return fmt.Sprintf("%#x", pc)
	}
	_, line := f.FileLine(pc)
	return fmt.Sprintf("%s+%#x (line %d)", f.Name(), pc-f.Entry(), line)
}
