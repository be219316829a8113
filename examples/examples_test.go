// Package examples_test runs each example as a user does, and compares what it
// prints with output.txt beside it, or with unordered.txt, whose lines may come
// in any order. A program that measures is run with -quick, and the figures do not
// matter: quick.txt has # for each. Standard error is empty, or what the regular
// expression in stderr.txt says.
package examples_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

func TestExamples(t *testing.T) {
	proctest.NoLeaks(t)
	for _, how := range []struct {
		name, cgo, ldflags string
		static             bool
		programs           string // all of them, or one that stands for them
	}{
		{name: "default", programs: "./..."},
		{name: "no cgo", cgo: "0", static: true, programs: "./..."},
		{name: "static", ldflags: static(t), static: true, programs: "./pool"},
	} {
		t.Run(how.name, func(t *testing.T) {
			dir := t.TempDir()
			build := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", "-ldflags", how.ldflags, how.programs)
			if how.cgo != "" {
				build.Env = append(build.Environ(), "CGO_ENABLED="+how.cgo)
			}
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			programs, err := filepath.Glob(dir + "/*")
			require.NoError(t, err)
			require.NotEmpty(t, programs)
			for _, program := range programs {
				t.Run(filepath.Base(program), func(t *testing.T) {
					if how.static {
						requireStatic(t, program)
					}
					requireOutput(t, filepath.Base(program), exec.Command(program, arguments(t, filepath.Base(program))...))
				})
			}
		})
	}
	t.Run("go run", func(t *testing.T) {
		requireOutput(t, "first", exec.Command("go", "run", "-buildvcs=false", "./first"))
	})
}

// static returns linker flags for a static program. With cgo that is a matter
// of the C linker; without a C compiler all Go programs are static.
func static(t *testing.T) string {
	t.Helper()
	cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	require.NoError(t, err)
	if strings.TrimSpace(string(cgo)) == "1" {
		return `-linkmode external -extldflags "-static"`
	}
	return `-extldflags "-static"`
}

// requireStatic fails the test if the program asks for a dynamic linker.
func requireStatic(t *testing.T, bin string) {
	t.Helper()
	f, err := elf.Open(bin)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.False(t, slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), "not static")
}

// arguments returns those that an example is run with here.
func arguments(t *testing.T, example string) []string {
	t.Helper()
	_, err := os.Stat(filepath.Join(example, "quick.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return []string{"-quick"}
}

func requireOutput(t *testing.T, example string, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	want, err := os.ReadFile(filepath.Join(example, "stderr.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		require.Empty(t, stderr.String())
	} else {
		require.NoError(t, err)
		require.Regexp(t, strings.TrimSpace(string(want)), stderr.String())
	}
	for name, form := range map[string]func([]byte) []byte{"output.txt": bytes.Clone, "unordered.txt": sorted, "quick.txt": shape} {
		want, err := os.ReadFile(filepath.Join(example, name))
		if !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
			require.Equal(t, string(form(want)), string(form(got)))
			return
		}
	}
	require.Fail(t, "there is nothing to compare the output with")
}

var (
	figure  = regexp.MustCompile(`\d+(\.\d+)?( (ns|µs|ms|s)\b)?`)
	width   = regexp.MustCompile(` +|-+`)
	origins = regexp.MustCompile(`(?m)^(Measured on|A quick run:) .*\n`)
)

// shape is a text without its figures, and without what comes from their width.
func shape(text []byte) []byte {
	text = figure.ReplaceAll(origins.ReplaceAll(text, nil), []byte("#"))
	return width.ReplaceAllFunc(text, func(run []byte) []byte { return run[:1] })
}

func sorted(text []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	slices.SortFunc(lines, bytes.Compare)
	return bytes.Join(lines, nil)
}
