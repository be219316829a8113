package proc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// A sight is what a process sees of where it comes from.
type sight struct {
	Own, Program       []string // what the descriptors from 3 on are
	Env, ProgramEnv    []string
	Stdin, Stdout, Err string
}

var lookAround = proc.Register("look around", func(context.Context, struct{}) (s sight, err error) {
	for fd := 3; fd < 1024; fd++ {
		target, err := os.Readlink("/proc/self/fd/" + itoa(fd))
		if err == nil && !ofTheRuntime(target) {
			s.Own = append(s.Own, target)
		}
	}
	s.Stdin, s.Stdout, s.Err = inode(0), inode(1), inode(2)
	s.Env = os.Environ()

	// A program that this process starts. It has a descriptor for the listing.
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(out)) {
		before, target, found := strings.Cut(strings.TrimSpace(line), " -> ")
		if number := before[strings.LastIndexByte(before, ' ')+1:]; found && len(number) > 0 && number > "2" && !strings.HasPrefix(target, "/proc/") {
			s.Program = append(s.Program, target)
		}
	}
	env, err := exec.Command("cat", "/proc/self/environ").Output()
	s.ProgramEnv = strings.Split(strings.TrimRight(string(env), "\x00"), "\x00")
	return s, err
})

// ofTheRuntime tells the descriptors that the Go runtime opens for itself: its
// poller, and where it learns how many processors it may use.
func ofTheRuntime(target string) bool {
	return strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/sys/fs/cgroup/")
}

// inode identifies what a descriptor stands for.
func inode(fd int) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err.Error()
	}
	return fmt.Sprint(st.Dev, st.Ino)
}

// Python: TestCloseFds.test_closefd
func TestCleanInheritance(t *testing.T) {
	proctest.NoLeaks(t)
	// Two of the parent's descriptors: as Go opens them, and as they come from
	// shells and C libraries.
	file, err := os.Open("/dev/zero")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	for _, at := range []int{105, 150} {
		require.NoError(t, unix.Dup3(int(file.Fd()), at, 0))
		defer func() { require.NoError(t, unix.Close(at)) }()
	}
	t.Setenv("OF_THE_USER", "kept")

	s := result(t, lookAround, struct{}{})
	own := strings.Join(s.Own, " ")
	require.Len(t, s.Own, 2, own)
	require.Contains(t, own, "socket:")
	require.Contains(t, own, "multiproc") // the roster
	require.Empty(t, s.Program)
	for _, env := range [][]string{s.Env, s.ProgramEnv} {
		require.Contains(t, env, "OF_THE_USER=kept")
		require.NotContains(t, strings.Join(env, "\n"), "MULTIPROC_CHILD")
	}
	require.ElementsMatch(t, s.Env, s.ProgramEnv)

	require.Equal(t, inode(1), s.Stdout)
	require.Equal(t, inode(2), s.Err)
}

// Whatever this program itself has set in the environment: a child is a child.
func TestOwnVariableInTheParent(t *testing.T) {
	proctest.NoLeaks(t)
	t.Setenv("MULTIPROC_CHILD", "1,2")
	require.Equal(t, 25, result(t, square, 5))
	s := result(t, lookAround, struct{}{})
	require.NotContains(t, strings.Join(s.Env, "\n"), "MULTIPROC_CHILD")
	require.NotContains(t, strings.Join(s.ProgramEnv, "\n"), "MULTIPROC_CHILD")
}

var speak = proc.RegisterTask("speak", func(context.Context, struct{}) error {
	fmt.Println("to standard output")
	_, err := fmt.Fprintln(os.Stderr, "to standard error")
	return err
})

// speaker has a pipe as standard input, and standard error go where its file
// goes.
var speaker = proctest.Register("speaker", func(h *proctest.Helper) error {
	if err := unix.Dup3(int(h.Files[0].Fd()), 2, 0); err != nil {
		return err
	}
	l, err := lookAround.Start(context.Background(), struct{}{}, nil)
	if err != nil {
		return err
	}
	s, err := l.Result(context.Background())
	if err != nil {
		return err
	}
	var null unix.Stat_t
	if err := unix.Stat(os.DevNull, &null); err != nil {
		return err
	}
	h.Say(fmt.Sprintf("input empty %v, ours not %v", s.Stdin == fmt.Sprint(null.Dev, null.Ino), s.Stdin != inode(0)))

	c, err := speak.Start(context.Background(), struct{}{}, nil)
	if err != nil {
		return err
	}
	if err := c.Join(context.Background()); err != nil {
		return err
	}
	p, err := panicWith.Start(context.Background(), "heads up", nil)
	if err != nil {
		return err
	}
	<-p.Done()
	return nil
})

// Python: _TestSubclassingProcess.test_stderr_flush
func TestStandardInputAndOutput(t *testing.T) {
	proctest.NoLeaks(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	p := speaker.Start(t, []*os.File{w})
	require.NoError(t, w.Close())
	p.Expect(t, "input empty true, ours not true")
	p.Expect(t, "to standard output")
	require.NoError(t, p.Wait(t))

	stderr := bufio.NewReader(r)
	line, err := stderr.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "to standard error\n", line)
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(rest), "panic: heads up\n"), "%s", rest)
	require.Contains(t, string(rest), "remote_test.go:")
}
