package proctest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// purpose says what TestOnPurpose is to do wrong in a test run of its own.
const purpose = "PROCTEST_PURPOSE"

var failing = Register("failing", func(*Helper) error { return errors.New("on purpose") })

// run is a test run inside the test run. It passes its output on.
var run = Register("run", func(h *Helper) error {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestOnPurpose$")
	cmd.Env = append(os.Environ(), purpose+"="+h.Args[0])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	return cmd.Run()
})

func TestOnPurpose(t *testing.T) {
	switch os.Getenv(purpose) {
	case "descriptor":
		_, err := syscall.Open("/dev/zero", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		require.NoError(t, err)
	case "child":
		require.NoError(t, exec.Command("true").Start())
	case "failed helper":
		<-failing.Start(t, nil).ended
	}
}

func TestMainFailsTheRun(t *testing.T) {
	for _, tt := range []struct{ purpose, complaint string }{
		{"descriptor", "left behind: descriptor "},
		{"child", "left behind: child process "},
		{"failed helper", "failed: exit status 1"},
	} {
		t.Run(tt.purpose, func(t *testing.T) {
			p := run.Start(t, nil, tt.purpose)
			for !strings.Contains(p.Line(t), tt.complaint) {
			}
			require.Error(t, p.Wait(t))
		})
	}
}

func TestWaitReportsFailure(t *testing.T) {
	var exit *exec.ExitError
	require.ErrorAs(t, failing.Start(t, nil).Wait(t), &exit)
	require.Equal(t, 1, exit.ExitCode())
}

func TestNameInSharedMemory(t *testing.T) {
	before := look()
	f, err := os.CreateTemp("/dev/shm", "proctest-")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.Remove(f.Name())) }()
	require.NoError(t, f.Close())
	require.Contains(t, before.leaks(), "left behind: "+f.Name())
}

func TestUnusedHelper(t *testing.T) {
	programs["idle"] = &Program{name: "idle"}
	defer delete(programs, "idle")
	require.Contains(t, unused(), "no test started the helper idle")
}

func TestRegisterTwice(t *testing.T) {
	require.PanicsWithValue(t, "proctest: helper failing is registered twice", func() { Register("failing", nil) })
}
