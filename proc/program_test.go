package proc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// build builds a program of testdata. It returns where it is.
func build(t *testing.T, program string, env ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), program)
	output(t, env, "go", "build", "-buildvcs=false", "-o", out, "./testdata/"+program)
	return out
}

// output runs a program, which must succeed, and returns what it prints.
func output(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	// Its thread ends at some time, and the signal would come then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, &stderr)
	return string(out)
}

// Python: TestNoForkBomb.test_noforkbomb
func TestStartBeforeMain(t *testing.T) {
	proctest.NoLeaks(t)
	early := build(t, "early")
	for _, where := range []string{"init", "before", "never"} {
		got := output(t, []string{"EARLY=" + where}, early)
		require.Equal(t, "start task: proc.Main was not called first in main (in a test: in TestMain) true true\n", got, where)
	}
}

const hello = "MainProcess Process-1 [4 9 36 49]\n"

func TestGoRun(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, hello, output(t, nil, "go", "run", "-buildvcs=false", "./testdata/hello"))
}

// A statically linked program, and what may happen to a program.
func TestProgram(t *testing.T) {
	proctest.NoLeaks(t)
	program := build(t, "hello", "CGO_ENABLED=0")
	require.Equal(t, hello, output(t, nil, program))

	// It does not run as a child, nor as if a user had started it, because
	// somebody has set the variable.
	for _, forged := range []string{"", "0,1", "3,4", "-1,-1", "99,99", "no numbers"} {
		cmd := exec.Command(program)
		cmd.Env = append(cmd.Environ(), "MULTIPROC_CHILD="+forged)
		out, err := cmd.CombinedOutput()
		var ended *exec.ExitError
		require.ErrorAs(t, err, &ended, forged)
		require.Equal(t, 1, ended.ExitCode())
		require.Regexp(t, "^proc: this process was started as a child, but its parent cannot be verified", string(out))
	}

	// It starts itself, not what has its name: that may be gone.
	require.Equal(t, hello, output(t, nil, "sh", "-c", `exec 3<"$0"; rm "$0"; exec /proc/self/fd/3`, program))
}
