package proc_test

import (
	"context"
	"os"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// killer sends a process some signals.
var killer = proc.RegisterTask("killer", func(_ context.Context, pid int) error {
	for range 100 {
		if err := unix.Kill(pid, unix.SIGUSR1); err != nil {
			return err
		}
	}
	return nil
})

// Python: _TestPollEintr.test_poll_eintr
func TestSignalsWhileJoining(t *testing.T) {
	proctest.NoLeaks(t)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	defer signal.Stop(signals)
	lifeline, theirs := pairOf(t)
	p := start(t, sleeper, theirs, nil)
	require.NoError(t, theirs.Close())
	joined := make(chan error, 1)
	go func() { joined <- p.Join(t.Context()) }()

	k := start(t, killer, os.Getpid(), nil)
	<-signals
	require.NoError(t, k.Join(t.Context()))
	require.Empty(t, joined)
	require.NoError(t, lifeline.Close())
	require.NoError(t, <-joined)
	code, ended := p.ExitCode()
	require.True(t, ended)
	require.Zero(t, code)
}
