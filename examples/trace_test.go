package examples_test

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
	"github.com/go-multiproc/multiproc/shm"
)

// Chapter 3 shows what the kernel was asked to do, as it was recorded once. What does
// not change from run to run is what it would be today: the file of the array, and the
// bytes of the argument and of the answer. (Those of the order depend on the process id.)
func TestCourseShowsTheKernel(t *testing.T) {
	text, err := os.ReadFile("../docs/course/3-create-a-process.md")
	require.NoError(t, err)
	shows := func(format string, args ...any) {
		t.Helper()
		want := fmt.Sprintf(format, args...)
		require.True(t, strings.Contains(string(text), want), "there is no %s", want)
	}

	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7, 8, 8, 9, 3, 3, 3}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, numbers.Close()) }()
	job, err := wire.Encode(reflect.ValueOf(struct {
		Index   int
		Numbers *shm.Array[int32]
	}{0, numbers}))
	require.NoError(t, err)
	defer job.Close()
	require.Len(t, job.Files, 1)
	file := int(job.Files[0].Fd())

	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(file, &stat))
	shows("ftruncate(8, %d)  ", stat.Size)
	shows("mmap(NULL, %d, PROT_READ|PROT_WRITE, MAP_SHARED, 8, 0)", stat.Size)
	shows("mmap(NULL, %d, PROT_READ|PROT_WRITE, MAP_SHARED, 10, 0)", stat.Size)
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file))
	require.NoError(t, err)
	shows("memfd_create(%q,", strings.TrimSuffix(strings.TrimPrefix(name, "/memfd:"), " (deleted)"))
	seals, err := unix.FcntlInt(uintptr(file), unix.F_GET_SEALS, 0)
	require.NoError(t, err)
	const noExec = 0x20 // from Linux 6.3
	shows("fcntl(9, F_GET_SEALS)             = %#x ", seals|noExec)

	header, argument := frame(t, job)
	shows("MSG_NOSIGNAL) = %d\n", len(header))
	shows("write(11, \"%s\", %d) = %[2]d\n", straced(argument), len(argument))
	shows("read(3, \"%s\", %d) = %[2]d\n", straced(argument), len(argument))

	header, _ = frame(t, &wire.Message{}) // no result
	shows("write(3, \"%s\", %d) = %[2]d\n", straced(header), len(header))
}

// frame returns what is written for a message: a header, and the data.
func frame(t *testing.T, m *wire.Message) (header, data []byte) {
	t.Helper()
	const answer = 3 // the kind
	ours, theirs, err := wire.Pair()
	require.NoError(t, err)
	require.NoError(t, wire.Send(ours, answer, m))
	require.NoError(t, ours.Close())
	all, err := io.ReadAll(theirs)
	require.NoError(t, err)
	require.NoError(t, theirs.Close())
	n := len(all) - len(m.Data)
	return all[:n], all[n:]
}

// straced writes bytes as strace does, if no digit follows one that is not printable.
func straced(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			s.WriteByte(c)
		} else {
			fmt.Fprintf(&s, `\%o`, c)
		}
	}
	return s.String()
}
