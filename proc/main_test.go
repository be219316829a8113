package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// TestMain makes the test binary a program whose functions can run in
// processes of their own, as any other program does.
func TestMain(m *testing.M) {
	proc.Main()
	// The race detector makes every process wait a second before it ends.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	proctest.Main(m)
}

// start runs f in a process. If the test ends early, the process is ended.
func start[A, R any](t testing.TB, f *proc.Func[A, R], arg A, o *proc.Options) *proc.Call[R] {
	t.Helper()
	c, err := f.Start(t.Context(), arg, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Kill()
		<-c.Done()
	})
	return c
}

// result runs f in a process and returns what it returns.
func result[A, R any](t testing.TB, f *proc.Func[A, R], arg A) R {
	t.Helper()
	r, err := start(t, f, arg, nil).Result(t.Context())
	require.NoError(t, err)
	return r
}

// exitCode waits for the end of a process.
func exitCode(t testing.TB, p *proc.Process) int {
	t.Helper()
	<-p.Done()
	code, ended := p.ExitCode()
	require.True(t, ended)
	return code
}

// square is the function of tests to which it does not matter.
var square = proc.Register("square", func(_ context.Context, x int) (int, error) { return x * x, nil })

// idle returns nil when its context ends.
var idle = proc.RegisterTask("idle", func(ctx context.Context, _ struct{}) error {
	<-ctx.Done()
	return nil
})

// A deathwatch waits for the end of processes that need not be children.
type deathwatch struct{ pidfds map[int]int }

// watch is called while the processes are known to live.
func watch(t testing.TB, pids ...int) *deathwatch {
	t.Helper()
	w := &deathwatch{pidfds: make(map[int]int)}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
		w.pidfds[pid] = fd
	}
	return w
}

// allEnd fails the test unless all have ended within ten seconds.
func (w *deathwatch) allEnd(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for pid, fd := range w.pidfds {
		n, err := 0, error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(time.Until(deadline).Milliseconds())))
		}
		require.NoError(t, err)
		require.Equal(t, 1, n, "process %d still lives: %s", pid, comm(pid))
	}
}

// comm is the name that the kernel has for a process.
func comm(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return err.Error()
	}
	return string(name)
}
