package proctest_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// echo goes through the gate if asked to, then repeats what it is told until it
// is told to end.
var echo = proctest.Register("echo", func(h *proctest.Helper) error {
	if len(h.Args) > 0 && h.Args[0] == "gate" {
		h.Ready()
	}
	for {
		line, err := h.Listen()
		if err != nil || line == "end" {
			return err
		}
		h.Say(line)
	}
})

func TestHelperTalks(t *testing.T) {
	proctest.NoLeaks(t)
	p := echo.Start(t, nil)
	require.NotEqual(t, os.Getpid(), p.Pid())
	p.Tell(t, "hello")
	p.Expect(t, "hello")
	p.Tell(t, "again")
	require.Equal(t, "again", p.Line(t))
	p.Tell(t, "end")
	require.NoError(t, p.Wait(t))
}

func TestGateOpensForAllAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := echo.Start(t, nil, "gate"), echo.Start(t, nil, "gate")
	proctest.Gate(t, a, b)
	for _, p := range []*proctest.Proc{a, b} {
		p.Tell(t, "through")
		p.Expect(t, "through")
	}
}

func TestGateForHelperThatListens(t *testing.T) {
	p := echo.Start(t, nil)
	p.Tell(t, "\x01go")
	var exit *exec.ExitError
	require.ErrorAs(t, p.Wait(t), &exit)
	require.Equal(t, 1, exit.ExitCode())
}

var reader = proctest.Register("reader", func(h *proctest.Helper) error {
	for _, f := range h.Files {
		text, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		h.Say(string(text))
	}
	out, err := exec.Command("readlink", "/proc/self/fd/3").CombinedOutput() // a child of the helper
	h.Say(fmt.Sprintf("child: %v %q", err != nil, out))
	return nil
})

func TestFilesAndTheirInheritance(t *testing.T) {
	proctest.NoLeaks(t)
	var files []*os.File
	for _, text := range []string{"first", "second"} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		_, err = w.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		files = append(files, r)
	}
	p := reader.Start(t, files)
	p.Expect(t, "first")
	p.Expect(t, "second")
	p.Expect(t, `child: true ""`) // it did not inherit them
	require.NoError(t, p.Wait(t))
}

func TestKill(t *testing.T) {
	proctest.NoLeaks(t)
	p := echo.Start(t, nil)
	p.Kill(t)
	p.Kill(t) // has ended already
	var exit *exec.ExitError
	require.ErrorAs(t, p.Wait(t), &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

func TestStopAndCont(t *testing.T) {
	p := echo.Start(t, nil)
	p.Stop(t)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	require.NoError(t, err)
	require.Contains(t, string(stat), ") T ")
	p.Tell(t, "awake")
	p.Cont(t)
	p.Expect(t, "awake")
}
