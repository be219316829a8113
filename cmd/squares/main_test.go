package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// TestMain is the program, too, in a test binary that is called squares.
func TestMain(m *testing.M) {
	proc.Main()
	if os.Args[0] == "squares" {
		main()
		os.Exit(0)
	}
	proctest.Main(m)
}

// squares runs the program as a user does.
func squares(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return outcome(t, &exec.Cmd{
		Path:  "/proc/self/exe",
		Args:  append([]string{"squares"}, args...),
		Stdin: strings.NewReader(stdin),
	})
}

func outcome(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// inProcess runs the program in this process; the workers are others.
func inProcess(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(stdin), &out)
	return out.String(), err
}

func TestCourse(t *testing.T) {
	const want = "[4, 9, 36, 49, 64, 64, 81, 9, 9, 9]\n"
	numbers := strings.Fields("2 3 6 7 8 8 9 3 3 3")
	file := filepath.Join(t.TempDir(), "numbers")
	require.NoError(t, os.WriteFile(file, []byte("2 3\n6 7\t8 8\r\n\n9\u00a03 3 3"), 0o600))
	for _, tt := range []struct {
		name, stdin string
		args        []string
	}{
		{"arguments", "", numbers},
		{"options after numbers", "", append(numbers[:10:10], "-workers", "3", "--wrap")},
		{"file", "", []string{"-in", file}},
		{"standard input", strings.Join(numbers, "\n"), nil},
		{"one worker", "", append([]string{"-workers=1"}, numbers...)},
		{"more workers than numbers", "", append([]string{"-workers=12"}, numbers...)},
		{"a process per element", "", append([]string{"-per-element"}, numbers...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			stdout, stderr, status := squares(t, tt.stdin, tt.args...)
			require.Zero(t, status, stderr)
			require.Empty(t, stderr)
			require.Equal(t, want, stdout)
		})
	}
}

// TestBuilt runs what go build makes of this directory.
func TestBuilt(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "squares")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin).CombinedOutput()
	require.NoError(t, err, "%s", out)
	proctest.NoLeaks(t)
	stdout, stderr, status := outcome(t, exec.Command(bin, "2", "3", "6", "7"))
	require.Zero(t, status, stderr)
	require.Empty(t, stderr)
	require.Equal(t, "[4, 9, 36, 49]\n", stdout)
}

func TestHelp(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		stdout, stderr, status := squares(t, "", flag)
		require.Zero(t, status)
		require.Empty(t, stderr)
		require.Equal(t, usage, stdout)
	}
}
