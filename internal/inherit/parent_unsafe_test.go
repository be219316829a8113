package inherit_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

const tell = "MULTIPROC_INHERIT_TEST"

// A process that is to tell its parent-death signal does only that.
func init() {
	if os.Getenv(tell) == "" {
		return
	}
	var sig int32
	if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0); err != nil {
		panic(err)
	}
	fmt.Print(sig)
	os.Exit(0)
}

// A child is killed when its parent ends, also if the kernel has forgotten that it was
// told so by the parent.
func TestParentDeathSignal(t *testing.T) {
	proctest.NoLeaks(t)
	_, theirs := pair(t)
	for handed, want := range map[string]unix.Signal{"": 0, variable + "=3,4": unix.SIGKILL} {
		cmd := exec.Command("/proc/self/exe") // which asks for no such signal
		cmd.Env = append(os.Environ(), tell+"=1", handed)
		cmd.ExtraFiles = []*os.File{theirs, null(t)}
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(int(want)), string(out))
	}
}
