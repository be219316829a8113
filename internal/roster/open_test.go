package roster

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// spoil makes a sound table at the path and then does something to it.
func spoil(offset int64, value any) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		data, err := binary.Append(nil, binary.NativeEndian, value)
		require.NoError(t, err)
		file := sound(t, path)
		_, err = file.WriteAt(data, offset)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
}

func resize(size int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		file := sound(t, path)
		require.NoError(t, file.Truncate(size))
		require.NoError(t, file.Close())
	}
}

func sound(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	require.NoError(t, format(file, Slots))
	return file
}

type refusal struct {
	name string
	make func(t *testing.T, path string)
	want string
}

func refusals() []refusal {
	all := []refusal{
		{"symbolic link", func(t *testing.T, path string) {
			require.NoError(t, sound(t, path+".real").Close())
			require.NoError(t, os.Symlink(path+".real", path))
		}, "open: too many levels of symbolic links"},
		{"dangling symbolic link", func(t *testing.T, path string) {
			require.NoError(t, os.Symlink(path+".real", path))
		}, "open: too many levels of symbolic links"},
		{"directory", func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, "open: is a directory"},
		{"fifo", func(t *testing.T, path string) { require.NoError(t, unix.Mkfifo(path, 0o600)) }, "it is not a regular file"},
		{"readable by the group", func(t *testing.T, path string) {
			require.NoError(t, sound(t, path).Close())
			require.NoError(t, os.Chmod(path, 0o640))
		}, "its mode is 0640, others may open it"},
		{"writable by others", func(t *testing.T, path string) {
			require.NoError(t, sound(t, path).Close())
			require.NoError(t, os.Chmod(path, 0o602))
		}, "its mode is 0602, others may open it"},
		{"empty", resize(0), "its size is 0 bytes"},
		{"header only", resize(slotSize), "its size is 64 bytes"},
		{"half a slot", resize(3*slotSize - 1), "its size is 191 bytes"},
		{"truncated", resize(3 * slotSize), "it claims 16383 slots in 192 bytes"},
		{"too large", resize(1<<20 + slotSize), "its size is 1048640 bytes"},
		{"magic", spoil(0, byte('m')), `it starts with "mPROSTER" instead of "MPROSTER"`},
		{"version", spoil(8, uint32(1)), "its version is 1, this program knows 2"},
		{"slots", spoil(12, uint32(Slots+1)), "it claims 16384 slots in 1048576 bytes"},
		{"no slots", spoil(12, uint32(0)), "it claims 0 slots in 1048576 bytes"},
		{"pid namespace", spoil(40, uint64(1)), "it was made in another pid namespace"},
		{"boot", spoil(48, [16]byte{1}), "it was made before the last reboot, remove it"},
	}
	if os.Geteuid() == 0 {
		all = append(all, refusal{"owner", func(t *testing.T, path string) {
			require.NoError(t, sound(t, path).Close())
			require.NoError(t, os.Chown(path, 1234, -1))
		}, "it belongs to user 1234 and this process to user 0"})
	}
	return all
}

// TestRefusal opens what is not a table of this user, this machine and this
// format. Nothing is left open, and nothing is changed.
func TestRefusal(t *testing.T) {
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			path := filepath.Join(t.TempDir(), "roster")
			tt.make(t, path)
			before, err := os.Lstat(path)
			require.NoError(t, err)

			_, err = openPath(path)
			require.ErrorContains(t, err, tt.want)

			after, err := os.Lstat(path)
			require.NoError(t, err)
			require.Equal(t, []any{before.Size(), before.Mode(), before.ModTime()}, []any{after.Size(), after.Mode(), after.ModTime()})
		})
	}
}

func TestRefusalOfDevice(t *testing.T) {
	_, err := openPath("/dev/null")
	require.ErrorIs(t, err, ErrRoster)
	require.ErrorContains(t, err, "it is not a regular file")
}

// TestNoPlace has directories in which no table can be made, not even by root.
func TestNoPlace(t *testing.T) {
	proctest.NoLeaks(t)
	for _, path := range []string{filepath.Join(t.TempDir(), "missing", "roster"), "/proc/roster", "/dev/null/roster"} {
		_, err := openPath(path)
		require.Error(t, err, path)
	}
}

// TestNamedRosterHasNoSubstitute: somebody chose it.
func TestNamedRosterHasNoSubstitute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roster")
	require.NoError(t, os.WriteFile(path, []byte("notes"), 0o600))
	p := member.Start(t, nil, path)
	p.Expect(t, "roster "+path+" (named by MULTIPROC_ROSTER): the roster of processes cannot be used: its size is 5 bytes")
	require.NoError(t, p.Wait(t))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "notes", string(text))

	missing := filepath.Join(t.TempDir(), "missing", "roster")
	p = member.Start(t, nil, missing)
	p.Expect(t, "roster "+missing+" (named by MULTIPROC_ROSTER): create: no such file or directory")
	require.NoError(t, p.Wait(t))
}
