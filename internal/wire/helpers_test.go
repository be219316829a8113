package wire

import (
	"os"
	"reflect"
	"syscall"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A box is a shared object as package shm has them: it travels as a descriptor.
type box struct {
	file *os.File // closed by the test
	word string
}

func (*box) Travels() {}

func (b *box) MarshalCBOR() ([]byte, error) {
	i, err := AddFile(b, b.file)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(i)
}

func (b *box) UnmarshalCBOR(data []byte) error {
	var i int
	if err := cbor.Unmarshal(data, &i); err != nil {
		return err
	}
	f, err := File(i)
	if err != nil {
		return err
	}
	word := make([]byte, 5)
	if _, err := f.ReadAt(word, 0); err != nil {
		return err
	}
	b.word = string(word)
	return nil
}

// memfd returns an anonymous file with this content, closed by the test's cleanup.
func memfd(t testing.TB, content string) *os.File {
	fd, err := unix.MemfdCreate("wire-test", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "wire-test")
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteString(content)
	require.NoError(t, err)
	return f
}

// pair returns two connected sockets, closed by the test's cleanup.
func pair(t testing.TB) (a, b *Conn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	conn := func(fd int) *Conn {
		c, err := NewConn(fd)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	return conn(fds[0]), conn(fds[1])
}

// descriptors returns how many descriptors this process has open.
func descriptors(t testing.TB) int {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}

// same returns the identity of the file behind f.
func same(t testing.TB, f *os.File) [2]uint64 {
	info, err := f.Stat()
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return [2]uint64{stat.Dev, stat.Ino}
}

// roundTrip returns what becomes of v.
func roundTrip(t testing.TB, v any) any {
	m, err := Encode(reflect.ValueOf(v))
	require.NoError(t, err)
	defer m.Close()
	to := reflect.New(reflect.TypeOf(v)).Elem()
	require.NoError(t, Decode(m, to))
	return to.Interface()
}
