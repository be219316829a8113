package barrier

import (
	"os"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A lane is a word that two processes share, on a cache line of its own.
type lane struct {
	word atomic.Uint64
	_    [56]byte
}

// lanes makes a file of n lanes, for mapLanes.
func lanes(t testing.TB, n int) *os.File {
	fd, err := unix.MemfdCreate("lanes", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "lanes")
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	require.NoError(t, f.Truncate(int64(n)*int64(unsafe.Sizeof(lane{}))))
	return f
}

// mapLanes maps the file. The mapping stays: it is for helpers.
func mapLanes(f *os.File) ([]lane, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*lane)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(lane{}))), nil
}
