package roster

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFormat compares a fresh table with the description of its bytes.
func TestFormat(t *testing.T) {
	file := memfd(t, 0)
	require.NoError(t, format(file, 3))
	data := make([]byte, 1000)
	n, _ := file.ReadAt(data, 0)
	require.Equal(t, 4*64, n)
	require.Equal(t, "MPROSTER", string(data[:8]))
	require.EqualValues(t, 2, binary.NativeEndian.Uint32(data[8:]))
	require.EqualValues(t, 3, binary.NativeEndian.Uint32(data[12:]))
	require.NotEqual(t, make([]byte, 16), data[16:32], "the id")
	require.Zero(t, binary.NativeEndian.Uint64(data[32:]))
	var st unix.Stat_t
	require.NoError(t, unix.Stat("/proc/self/ns/pid", &st))
	require.Equal(t, st.Ino, binary.NativeEndian.Uint64(data[40:]))
	require.NotEqual(t, make([]byte, 16), data[48:64], "the boot id")
	require.Equal(t, make([]byte, 3*64), data[64:n], "free slots")

	other := memfd(t, 0)
	require.NoError(t, format(other, 3))
	again := make([]byte, 64)
	_, err := other.ReadAt(again, 0)
	require.NoError(t, err)
	require.NotEqual(t, data[16:32], again[16:32], "ids are random")
	require.Equal(t, data[48:64], again[48:64])
}

// TestSlotBytes compares a claimed slot with the description of its bytes.
func TestSlotBytes(t *testing.T) {
	_, path := newTable(t, 1)
	p, _ := start(t, path)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	u32 := func(offset int) int { return int(binary.NativeEndian.Uint32(data[offset:])) }
	live := u32(64)
	require.Equal(t, 1<<31, live&^(1<<30-1), "FUTEX_WAITERS and not FUTEX_OWNER_DIED")
	require.DirExists(t, filepath.Join("/proc", strconv.Itoa(p.Pid()), "task", strconv.Itoa(live&(1<<30-1))), "the keeper's thread")
	require.Equal(t, 1, u32(68), "generation")
	require.Equal(t, p.Pid(), u32(72))
	require.Zero(t, u32(76))
	require.Equal(t, statOf(t, p.Pid()).start, binary.NativeEndian.Uint64(data[80:]))
	require.Equal(t, statOf(t, p.Pid()).stack, binary.NativeEndian.Uint64(data[88:]))
	require.Equal(t, make([]byte, 32), data[96:128])

	p.Kill(t)
	data, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1<<31|1<<30, u32(64)|1<<31, "the kernel clears the thread id and marks")
}

func TestSize(t *testing.T) {
	require.Equal(t, 1<<20, slotSize*(1+Slots))
}

// FuzzTable loads arbitrary bytes as a table: an error that says so, or a table
// of exactly those slots, in which whatever they hold can be looked at.
func FuzzTable(f *testing.F) {
	pidns, boot, err := here()
	require.NoError(f, err)
	head := []byte("MPROSTER")
	for _, field := range []any{uint32(2), uint32(2), [16]byte{}, uint64(0), pidns, boot} {
		head, err = binary.Append(head, binary.NativeEndian, field)
		require.NoError(f, err)
	}
	f.Add(append(head, make([]byte, 128)...))
	f.Add(append(head, make([]byte, 127)...))
	f.Add(append(head, make([]byte, 64)...))
	f.Add(head)
	alive, err := binary.Append(nil, binary.NativeEndian, []uint32{waiters | 1, 1, 1 << 31, 0xffffffff, 1, 1})
	require.NoError(f, err)
	f.Add(append(append(head, alive...), make([]byte, 128-len(alive))...))
	unwatched, err := binary.Append(nil, binary.NativeEndian, []uint32{5, 1, 1 << 31, 0xffffffff, 1, 1})
	require.NoError(f, err)
	f.Add(append(append(head, unwatched...), make([]byte, 128-len(unwatched))...))

	f.Fuzz(func(t *testing.T, data []byte) {
		fd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		file := os.NewFile(uintptr(fd), "fuzz")
		require.NoError(t, file.Chmod(0o600))
		_, err = file.Write(data)
		require.NoError(t, err)
		tab, err := load(file)
		if err != nil {
			require.ErrorIs(t, err, ErrRoster)
			require.NoError(t, file.Close())
			return
		}
		require.Len(t, data, slotSize*(1+len(tab.slots)))
		require.Equal(t, head[:12], data[:12])
		joined.Store(tab)
		for i := range tab.slots {
			id := makeID(i, tab.slots[i].generation.Load())
			s := Look(id)
			require.True(t, s.Word == &tab.slots[i].live || !s.Alive && s.Word == nil)
			require.Equal(t, Sight{}, Look((id+1<<slotBits)&Mask))
		}
		require.Equal(t, Sight{}, Look(makeID(len(tab.slots), 0)))
		joined.Store(nil)
		require.NoError(t, tab.close())
	})
}
