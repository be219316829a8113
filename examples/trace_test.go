package examples_test

import (
	"fmt"
	"go/ast"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// Chapter 3 shows what the kernel was asked to do, as it was recorded once. This is what
// can be found out without recording it again: the file of the array, the bytes of the
// argument and of the answer, and how many the order has.
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

	first := struct { // what proc has, but does not export
		Func, Name string
		Parent     proc.Info
		Depth      int
	}{"square", "Process-1", proc.Info{Name: proc.Current().Name, Pid: 31568}, 0}
	var has []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(first)) {
		has = append(has, f.Name)
	}
	require.Equal(t, fields(t, "proc", "order"), has)
	order, err := wire.Encode(reflect.ValueOf(first))
	require.NoError(t, err)
	defer order.Close()
	header, data := frame(t, frameOrder, order)
	const sent, received = "MSG_DONTWAIT|MSG_NOSIGNAL", "MSG_DONTWAIT|MSG_CMSG_CLOEXEC"
	shows("sendmsg(11, {... iov_base=\"%s\"..., iov_len=%d ...}, %s) = %[2]d\n", straced(header[:12]), len(header)+len(data), sent)

	header, argument := frame(t, frameArgument, job)
	shows("cmsg_data=[9]}] ...}, %s) = %d\n", sent, len(header))
	shows("cmsg_data=[9]}] ...}, %s) = %d\n", received, len(header))
	shows("sendmsg(11, {... iov_base=\"%s\", iov_len=%d ...}, %s) = %[2]d\n", straced(argument), len(argument), sent)
	shows("recvmsg(3, {... iov_base=\"%s\", iov_len=%d ...}, %s) = %[2]d\n", straced(argument), len(argument), received)

	header, _ = frame(t, frameResult, &wire.Message{}) // none
	shows("sendmsg(3, {... iov_base=\"%s\", iov_len=%d ...}, %s) = %[2]d\n", straced(header), len(header), sent)
}

// Kinds of frames, as in proc.
const (
	frameOrder byte = 1 + iota
	frameArgument
	frameResult
)

// frame returns what is written for a message: a header, and the data.
func frame(t *testing.T, kind byte, m *wire.Message) (header, data []byte) {
	t.Helper()
	ours, theirs, err := wire.Pair()
	require.NoError(t, err)
	require.NoError(t, wire.Send(ours, kind, m))
	require.NoError(t, ours.Close())
	all, err := io.ReadAll(theirs)
	require.NoError(t, err)
	require.NoError(t, theirs.Close())
	n := len(all) - len(m.Data)
	return all[:n], all[n:]
}

// fields returns the names of the fields of a struct that a package declares.
func fields(t *testing.T, pkg, name string) (names []string) {
	t.Helper()
	for _, f := range parsed(t, pkg) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				for _, id := range field.Names {
					names = append(names, id.Name)
				}
			}
			return false
		})
	}
	return names
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
