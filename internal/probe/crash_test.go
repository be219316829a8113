//go:build crash

package probe

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// program goes through all points, armed for one of them, twice.
var program = proctest.Register("armed", func(h *proctest.Helper) error {
	at, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	signal, err := strconv.Atoi(h.Args[1])
	if err != nil {
		return err
	}
	Arm(Point(at), unix.Signal(signal))
	for range 2 {
		for p := none; p < end; p++ {
			h.Say(p.String())
			At(p)
		}
	}
	return nil
})

func startArmed(t *testing.T, at Point, signal unix.Signal) *proctest.Proc {
	t.Helper()
	return program.Start(t, nil, strconv.Itoa(int(at)), strconv.Itoa(int(signal)))
}

func TestEnabled(t *testing.T) { require.True(t, Enabled) }

// TestKilled sees the process die at its point: the last word is the point's
// name.
func TestKilled(t *testing.T) {
	for _, at := range []Point{Lock1, Locked, Claim27} {
		p := startArmed(t, at, unix.SIGKILL)
		for q := none; q <= at; q++ {
			p.Expect(t, q.String())
		}
		require.ErrorContains(t, p.Wait(t), "killed")
	}
}

// TestStopped sees the process stop at its point, once, and go on from there.
func TestStopped(t *testing.T) {
	p := startArmed(t, Lock7, unix.SIGSTOP)
	for q := none; q <= Lock7; q++ {
		p.Expect(t, q.String())
	}
	err := unix.EINTR
	for err == unix.EINTR {
		err, _ = unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WSTOPPED, nil).(unix.Errno)
	}
	require.Zero(t, err)
	p.Cont(t)
	for q := Lock8; q < end; q++ {
		p.Expect(t, q.String())
	}
	for q := none; q < end; q++ {
		p.Expect(t, q.String())
	}
	require.NoError(t, p.Wait(t))
}
