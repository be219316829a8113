package wire

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Who has sent an end, and has it still, cannot make its new owner wait in the kernel.
func TestConnThatBlocks(t *testing.T) {
	a, b := pair(t)
	require.NoError(t, control(a.file, func(fd uintptr) error {
		theirs, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			err = unix.SetNonblock(theirs, false) // of the open file: of both
			_ = unix.Close(theirs)
		}
		return err
	}))
	soon := func() time.Time { return time.Now().Add(10 * time.Millisecond) }
	require.NoError(t, a.SetReadDeadline(soon()))
	_, _, err := Recv(a)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = a.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, a.SetWriteDeadline(soon()))
	require.ErrorIs(t, Send(a, 1, &Message{Data: make([]byte, 8<<20)}), os.ErrDeadlineExceeded)
	done := make(chan error)
	require.NoError(t, a.SetReadDeadline(time.Time{}))
	go func() {
		_, _, err := Recv(a)
		done <- err
	}()
	require.NoError(t, a.Close())
	require.ErrorIs(t, <-done, os.ErrClosed)
	require.NoError(t, b.Close())
}

// Who has sent an end can have the kernel add a descriptor to whatever comes
// through it (Linux 6.5).
func TestConnThatNamesProcesses(t *testing.T) {
	a, b := pair(t)
	err := control(b.file, func(fd uintptr) error { return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1) })
	if err != nil {
		require.ErrorIs(t, err, unix.ENOPROTOOPT)
	}
	before := descriptors(t)
	for range 10 {
		require.NoError(t, Send(a, 1, &Message{Data: []byte("abc"), Files: []*os.File{os.Stdin}}))
		_, m, err := Recv(b)
		require.NoError(t, err)
		require.Equal(t, "abc", string(m.Data))
		require.Len(t, m.Files, 1)
		m.Close()
	}
	require.Equal(t, before, descriptors(t))
}
