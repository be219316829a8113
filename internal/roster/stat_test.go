package roster

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// line is what the kernel writes of a process with a name of its own choice.
func line(name string) string {
	return "17 (" + name + ") S 1 17 17 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 5 0 987654 1000 200 18446744073709551615 1 2 3 4 5 256 7 8"
}

var parsed = stat{state: 'S', flags: 4194560, threads: 5, start: 987654, stack: 3, pending: 256}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"", "cat", ") (", ")", "((", "a b c", ") R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", "x\n) Z 1", "\x00\xff"} {
		st, err := parseStat([]byte(line(name)))
		require.NoError(t, err, name)
		require.Equal(t, parsed, st, name)
	}
}

func TestParseStatRefuses(t *testing.T) {
	for _, text := range []string{
		"", ")", "17", "17 (cat)", "17 (cat) S 1 17 17 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 5 0", // the start time is missing
		"17 (cat) S 1 17 17 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 5 0 987654 1 2 3 4 5 6 7 8", // the signals are missing
		"17 (cat) S 1 17 17 0 -1 -4 1 0 0 0 3 4 0 0 20 0 5 0 987654",
		"17 (cat) S 1 17 17 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 x 0 987654",
		"17 (cat) S 1 17 17 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 5 0 98765432109876543210",
	} {
		_, err := parseStat([]byte(text))
		require.ErrorContains(t, err, fmt.Sprintf("malformed stat %q", text))
	}
}

// TestReadStat reads what the kernel says of a process with hostile names: this
// one.
func TestReadStat(t *testing.T) {
	const self, comm = "/proc/self/stat", "/proc/self/comm"
	before, err := readStat(self)
	require.NoError(t, err)
	require.Greater(t, before.threads, 1)
	own, err := os.ReadFile(comm)
	require.NoError(t, err)
	defer func() { require.NoError(t, os.WriteFile(comm, own, 0)) }()
	for _, name := range []string{")", ") R 0 0 (", "(((", "a\nb", "x) Z 1 1"} {
		require.NoError(t, os.WriteFile(comm, []byte(name), 0))
		text, err := os.ReadFile(self)
		require.NoError(t, err)
		require.Contains(t, string(text), "("+name+")")
		after, err := parseStat(text)
		require.NoError(t, err, name)
		require.Equal(t, before.start, after.start, name)
		require.Equal(t, before.flags, after.flags, name)
	}
}

// statOf reads what the kernel says of a living process.
func statOf(t *testing.T, pid int) stat {
	t.Helper()
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	require.NotZero(t, st.start)
	require.NotZero(t, st.stack)
	return st
}

func TestExists(t *testing.T) {
	_, path := newTable(t, 1)
	p, _ := start(t, path)
	began := statOf(t, p.Pid()).start
	require.True(t, exists(p.Pid(), began))
	require.False(t, exists(p.Pid(), began+1))
	require.NoError(t, p.Signal(unix.SIGKILL))
	until(t, func() bool { return !exists(p.Pid(), began) })
	require.False(t, exists(1<<30, began), "no such pid")
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(line("cat")), "cat")
	f.Add([]byte(") (\n"), ") (")
	f.Add([]byte("(S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21"), "")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		_, _ = parseStat(text) // must not panic
		st, err := parseStat([]byte(line(name)))
		require.NoError(t, err)
		require.Equal(t, parsed, st)
	})
}
