package proc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// TestConnZero uses a connection that did not arrive: it is as if closed.
func TestConnZero(t *testing.T) {
	var c proc.Conn
	require.ErrorIs(t, c.Send(t.Context(), 1), proc.ErrClosed)
	require.ErrorIs(t, c.SendBytes(t.Context(), nil), proc.ErrClosed)
	var n int
	require.ErrorIs(t, c.Recv(t.Context(), &n), proc.ErrClosed)
	_, err := c.RecvBytes(t.Context(), 0)
	require.ErrorIs(t, err, proc.ErrClosed)
	ready, err := proc.Wait(t.Context(), &c)
	require.NoError(t, err)
	require.Len(t, ready, 1)
	require.NoError(t, c.Close())
	pid, uid := c.Peer()
	require.Equal(t, []int{0, 0}, []int{pid, uid})

	var none *proc.Conn // panics, as a nil pointer of all types
	for _, use := range []func(){
		func() { _ = none.Send(t.Context(), 1) },
		func() { _ = none.Recv(t.Context(), &n) },
		func() { none.Peer() },
		func() { _ = none.String() },
		func() { _ = none.Close() },
	} {
		require.Panics(t, use)
	}
}

// TestWaitForRuinedConn waits for a connection whose next Recv fails at once,
// although nothing more comes on it.
func TestWaitForRuinedConn(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	require.NoError(t, a.SendBytes(t.Context(), make([]byte, 100)))
	_, err := b.RecvBytes(t.Context(), 10)
	require.ErrorIs(t, err, proc.ErrTooLarge)
	for range 2 {
		ready, err := proc.Wait(t.Context(), b)
		require.NoError(t, err)
		require.Len(t, ready, 1)
	}
	_, err = b.RecvBytes(t.Context(), 100)
	require.NoError(t, err)
	_, err = proc.Wait(ended(), b)
	require.Error(t, err, "the message was taken")
}
