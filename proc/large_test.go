package proc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// large is more than any socket buffers.
const large = 10 << 20

func pattern(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef!"), n/17+1)[:n] }

var digest = proc.Register("digest", func(_ context.Context, b []byte) ([32]byte, error) { return sha256.Sum256(b), nil })

var produce = proc.Register("produce", func(_ context.Context, n int) ([]byte, error) { return pattern(n), nil })

func TestLargeArgument(t *testing.T) {
	proctest.NoLeaks(t)
	require.Equal(t, sha256.Sum256(pattern(large)), result(t, digest, pattern(large)))
}

func TestLargeResult(t *testing.T) {
	proctest.NoLeaks(t)
	require.True(t, bytes.Equal(pattern(large), result(t, produce, large)))
}

// CPython waits for ever here if the result went into a queue.
func TestLargeResultThatNobodyAsksFor(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, produce, large, nil)
	require.NoError(t, c.Join(t.Context()))
	require.Equal(t, 0, exitCode(t, c.Process))
	require.NoError(t, c.Close())
}

// All of them can be asked later, in any order.
func TestLargeResultsOfSeveral(t *testing.T) {
	proctest.NoLeaks(t)
	var calls []*proc.Call[[]byte]
	for i := range 4 {
		calls = append(calls, start(t, produce, large+i, nil))
	}
	for i := len(calls) - 1; i >= 0; i-- {
		got, err := calls[i].Result(t.Context())
		require.NoError(t, err)
		require.Len(t, got, large+i)
	}
}

// It is stopped in the middle of reading its argument and never sees its end.
func TestKilledWhileArgumentArrives(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, digest, pattern(4*large), nil)
	require.NoError(t, unix.Kill(c.Pid(), unix.SIGSTOP))
	c.Kill()
	_, err := c.Result(t.Context())
	var exit *proc.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -9, exit.Code)
}

// orphan leaves a program behind that holds all of this process's descriptors
// open for as long as the fifo of that path has a writer.
var orphan = proc.RegisterTask("orphan", func(_ context.Context, fifo string) error {
	for fd := 3; fd < 16; fd++ {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	in, err := os.Open(fifo)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = os.StartProcess("/bin/cat", []string{"cat"}, &os.ProcAttr{Files: []*os.File{in, out, out}})
	return err
})

// Neither Join nor anything else waits for a program that the child left
// behind, though that holds the child's end of the connection open.
func TestProgramThatOutlivesTheChild(t *testing.T) {
	proctest.NoLeaks(t)
	fifo := t.TempDir() + "/fifo"
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	c := start(t, orphan, fifo, nil)
	out, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }() // ends the program
	require.NoError(t, c.Join(t.Context()))
}
