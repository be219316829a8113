package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// program is the program with a process group of its own, as a shell starts it,
// and with two files as its output.
var program = proctest.Register("squares", func(h *proctest.Helper) error {
	if err := unix.Setpgid(0, 0); err != nil {
		return err
	}
	for i, f := range h.Files {
		if err := unix.Dup3(int(f.Fd()), i+1, 0); err != nil {
			return err
		}
		f.Close()
	}
	os.Args = append([]string{"squares"}, h.Args...)
	main()
	return nil
})

// A trial is one run of the program that something happens to.
type trial struct {
	name string
	args []string
	act  func(parent, worker int) error
	want string // on standard error
	code int
}

// TestEnd ends runs before their time. Whatever the way, no process stays, and
// there is no output.
func TestEnd(t *testing.T) {
	ctrlC := func(parent, _ int) error { return unix.Kill(-parent, unix.SIGINT) } // as a terminal does
	// A worker that has just begun may die of it, and be seen first: see squareAll.
	const interrupted = `^squares: interrupted: interrupt signal received( by a worker)?\n$`
	for _, tt := range []trial{
		{"Ctrl-C", []string{"-wrap", "-stats"}, ctrlC, interrupted, statusInterrupted},
		{"Ctrl-C, a process per element", []string{"-per-element", "-wrap"}, ctrlC, interrupted, statusInterrupted},
		{"terminated", []string{"-wrap", "-stats"},
			func(parent, _ int) error { return unix.Kill(parent, unix.SIGTERM) },
			`^squares: interrupted: terminated signal received\n$`, statusInterrupted},
		{"worker killed", []string{"-wrap", "-stats"},
			func(_, worker int) error { return unix.Kill(worker, unix.SIGKILL) },
			`^squares: elements \d+ to \d+: proc: Process-\d+ \(pid \d+\) was ended by signal 9 \(killed\)\n$`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			// A run that was over too soon says nothing: the next takes longer.
			for n := 50_000_000; !tt.run(t, n); n *= 2 {
				require.Less(t, n, 400_000_000)
			}
		})
	}
}

// run reports false if the program came to its end before it could be hindered.
func (tt *trial) run(t *testing.T, n int) bool {
	t.Helper()
	dir := t.TempDir()
	stdout, err := os.Create(filepath.Join(dir, "stdout"))
	require.NoError(t, err)
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	defer stderr.Close()

	p := program.Start(t, []*os.File{stdout, stderr}, append([]string{"-n", strconv.Itoa(n)}, tt.args...)...)
	worker, ok := awaitWorker(t, p.Pid())
	if ok {
		if err := tt.act(p.Pid(), worker); !errors.Is(err, unix.ESRCH) {
			require.NoError(t, err)
		}
	}
	err = p.Wait(t)
	require.ErrorIs(t, unix.Kill(-p.Pid(), 0), unix.ESRCH, "a process is left in the group")
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && !exit.Exited() {
		return false
	}
	require.ErrorAs(t, err, &exit)
	got, err := os.ReadFile(stderr.Name())
	require.NoError(t, err)
	require.Regexp(t, tt.want, string(got))
	require.Equal(t, tt.code, exit.ExitCode())
	got, err = os.ReadFile(stdout.Name())
	require.NoError(t, err)
	require.Empty(t, got)
	return true
}

// awaitWorker waits until the process has a child that has become a worker. It
// reports false if the process ends before.
func awaitWorker(t *testing.T, parent int) (pid int, ok bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		require.NoError(t, err)
		if lists == nil {
			return 0, false
		}
		for _, list := range lists {
			pids, _ := os.ReadFile(list) // the thread may have ended
			for word := range strings.FieldsSeq(string(pids)) {
				name, _ := os.ReadFile("/proc/" + word + "/cmdline")
				if bytes.Contains(name, []byte(": square ")) {
					pid, err = strconv.Atoi(word)
					require.NoError(t, err)
					return pid, true
				}
			}
		}
	}
	require.Fail(t, "no worker within a minute")
	return 0, false
}

func TestCancelled(t *testing.T) {
	proctest.NoLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	err := run(ctx, []string{"2", "3"}, nil, &out)
	require.ErrorIs(t, err, errInterrupted)
	require.Empty(t, out.String())
}

// dying is a worker that Ctrl-C meets before proc.Main catches it.
var dying = proc.Register("dies of SIGINT", func(_ context.Context, j job[int32]) (int, error) {
	signal.Reset(unix.SIGINT)
	_ = unix.Kill(os.Getpid(), unix.SIGINT) // always allowed
	select {}
})

func TestInterruptedWorker(t *testing.T) {
	proctest.NoLeaks(t)
	numbers, err := shm.ArrayOf([]int32{2, 3}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, numbers.Close()) }()
	err = squareAll(t.Context(), dying, numbers, &options{workers: 1})
	require.ErrorIs(t, err, errInterrupted)
	require.EqualError(t, err, "interrupted: interrupt signal received by a worker")
}
