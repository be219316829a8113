package memfd

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNew(t *testing.T) {
	f, err := New("memory", 4096)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 4096, info.Size())
	require.Equal(t, "memory", f.Name())

	require.ErrorIs(t, f.Truncate(0), unix.EPERM, "it can shrink")
	require.ErrorIs(t, f.Truncate(8192), unix.EPERM, "it can grow")
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC)
}

func TestSeal(t *testing.T) {
	f, err := New("memory", 4096)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{1}, 0)
	require.NoError(t, err)
	require.NoError(t, Seal(f, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL))
	_, err = f.WriteAt([]byte{1}, 0)
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorIs(t, Seal(f, unix.F_SEAL_FUTURE_WRITE), unix.EPERM)
	require.NoError(t, f.Close())
	require.Error(t, Seal(f, unix.F_SEAL_WRITE), "it is closed")
}

func TestRefused(t *testing.T) {
	_, err := New(string(make([]byte, 300)), 4096)
	require.ErrorIs(t, err, unix.EINVAL)
	_, err = New("too large", -1)
	require.ErrorIs(t, err, unix.EINVAL)
	require.ErrorContains(t, err, "set the size to -1 bytes")
}
