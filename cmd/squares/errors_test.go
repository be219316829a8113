package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// TestErrors sees one line on standard error, nothing on standard output, and
// an exit status that is not zero.
func TestErrors(t *testing.T) {
	proctest.NoLeaks(t)
	missing := filepath.Join(t.TempDir(), "missing")
	unreadable := t.TempDir() // root can read every file, but nobody a directory
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"no number", "", []string{"2", "x"}, `element 1: "x" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"empty number", "", []string{""}, `element 0: "" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"a line break in it", "", []string{"1\n2"}, `element 0: "1\n2" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"two signs", "", []string{"-type", "B", "++3"}, `element 0: "++3" is not an integer from 0 to 255 (type B)`},
		{"fraction", "", []string{"2.5"}, `element 0: "2.5" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"no number on standard input", "1 2\n3 4 five", nil, `element 4: "five" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"does not fit the type", "", []string{"-type", "b", "1", "-129"}, `element 1: "-129" is not an integer from -128 to 127 (type b)`},
		{"does not fit, even with -wrap", "", []string{"-type=B", "-wrap", "256"}, `element 0: "256" is not an integer from 0 to 255 (type B)`},
		{"negative and unsigned", "", []string{"-type", "Q", "-3"}, `element 0: "-3" is not an integer from 0 to 18446744073709551615 (type Q)`},
		{"not a double", "", []string{"-type", "d", "-1e400"}, `element 0: "-1e400" is not a floating-point number of 64 bits (type d)`},
		{"not a float", "", []string{"-type", "f", "1e40"}, `element 0: "1e40" is not a floating-point number of 32 bits (type f)`},
		{"very long word", strings.Repeat("x", 1000), nil, `element 0: "` + strings.Repeat("x", 60) + `" is not an integer from -2147483648 to 2147483647 (type i)`},
		{"no white space at all", "7 " + strings.Repeat("1", 1<<17), nil, `element 1: more than 65536 bytes without white space are not an integer from -2147483648 to 2147483647 (type i)`},
		{"count does not fit the type", "", []string{"-type", "b", "-n", "129"}, `-n 129: 128 is not an integer from -128 to 127 (type b)`},
		{"count above memory", "", []string{"-type", "q", "-n", "4000000000000000000"}, `shm: array "int64": create: wrong size: 4000000000000000000 elements of 8 bytes`},
		{"square does not fit", "", []string{"2", "46340", "-46341", "46341"}, `element 2: the square of -46341 does not fit type i (see -wrap)`},
		{"square does not fit, a process per element", "", []string{"-per-element", "2", "46340", "-46341", "46341"}, `element 2: the square of -46341 does not fit type i (see -wrap)`},
		{"square does not fit, with -stats", "", []string{"-type", "d", "-stats", "1e200"}, `element 0: the square of 1e+200 does not fit type d (see -wrap)`},
		{"unknown type", "", []string{"-type", "u", "1"}, `-type: unknown type code "u": the codes are b B h H i I l L q Q f d`},
		{"type of two letters", "", []string{"-type", "ii", "1"}, `-type: unknown type code "ii": the codes are b B h H i I l L q Q f d`},
		{"no workers", "", []string{"-workers", "0", "1"}, `-workers 0: at least 1 is needed`},
		{"negative workers", "", []string{"-workers", "-1", "1"}, `-workers -1: at least 1 is needed`},
		{"workers are no number", "", []string{"-workers", "two", "1"}, `invalid value "two" for flag -workers: parse error`},
		{"negative count", "", []string{"-n", "-1"}, `-n -1: a number of elements is not negative`},
		{"unknown option", "", []string{"-fast", "1"}, `flag provided but not defined: -fast`},
		{"option without value", "", []string{"1", "-in"}, `flag needs an argument: -in`},
		{"missing file", "", []string{"-in", missing}, `open ` + missing + `: no such file or directory`},
		{"unreadable file", "", []string{"-in", unreadable}, `read ` + unreadable + `: is a directory`},
		{"a line break in the file's name", "", []string{"-in", missing + "\n"}, `open ` + missing + ` : no such file or directory`},
		{"file without name", "", []string{"-in", ""}, `-in: the file's name is empty`},
		{"file and arguments", "", []string{"-in", missing, "1"}, `numbers come from the command line, from -in, or from -n: choose one`},
		{"count and arguments", "", []string{"-n", "3", "1"}, `numbers come from the command line, from -in, or from -n: choose one`},
		{"count and file", "", []string{"-n", "3", "-in", missing}, `numbers come from the command line, from -in, or from -n: choose one`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := squares(t, tt.stdin, tt.args...)
			require.Equal(t, "squares: "+tt.want+"\n", stderr)
			require.Equal(t, 1, status)
			require.Empty(t, stdout)
		})
	}
}

func TestOutputFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	for _, args := range []string{"2 3", "-stats 2 3", "-n 40000", "-help"} {
		cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"squares"}, strings.Fields(args)...), Stdout: full}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		require.Error(t, cmd.Run())
		require.Equal(t, "squares: write /dev/stdout: no space left on device\n", stderr.String())
	}
}

// TestFirstOverflow has two workers that meet squares that do not fit, the one
// with the higher range at its first element. All blame the lowest.
func TestFirstOverflow(t *testing.T) {
	for _, workers := range []string{"1", "2", "3", "8"} {
		out, err := inProcess(t, "", "-n", "100000", "-workers", workers)
		require.EqualError(t, err, "element 46341: the square of 46341 does not fit type i (see -wrap)")
		require.Empty(t, out)
	}
}
