package shm

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// closing closes c at the end of the test, which must work.
func closing(t testing.TB, c interface{ Close() error }) {
	t.Cleanup(func() { require.NoError(t, c.Close()) })
}

func testSegment(t testing.TB, size int) *Segment {
	s, err := Create("test", size)
	require.NoError(t, err)
	closing(t, s)
	return s
}

func testArray[T any](t testing.TB, opts *Options, values ...T) *Array[T] {
	a, err := ArrayOf(values, opts)
	require.NoError(t, err)
	closing(t, a)
	return a
}

func testValue[T any](t testing.TB, v T, opts *Options) *Value[T] {
	o, err := NewValue(v, opts)
	require.NoError(t, err)
	closing(t, o)
	return o
}

// hand starts a helper and sends it v, which it receives with take.
func hand[T any](t testing.TB, p *proctest.Program, v T, args ...string) *proctest.Proc {
	t.Helper()
	return handBeside(t, p, nil, v, args...)
}

// handBeside is hand for a helper that has files as well, behind the first.
func handBeside[T any](t testing.TB, p *proctest.Program, files []*os.File, v T, args ...string) *proctest.Proc {
	t.Helper()
	c, theirs, err := wire.Pair()
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	helper := p.Start(t, append([]*os.File{theirs}, files...), args...)
	require.NoError(t, theirs.Close())
	m, err := wire.Encode(reflect.ValueOf(v))
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, wire.Send(c, 1, m))
	return helper
}

// take receives in a helper what the test handed over.
func take[T any](h *proctest.Helper) (v T, err error) {
	fd, err := unix.FcntlInt(h.Files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0) // NewConn takes it over
	if err != nil {
		return v, err
	}
	c, err := wire.NewConn(fd)
	if err != nil {
		return v, err
	}
	defer func() { _ = c.Close() }()
	_, m, err := wire.Recv(c)
	if err != nil {
		return v, err
	}
	defer m.Close()
	err = wire.Decode(m, reflect.ValueOf(&v).Elem())
	return v, err
}

// mapped returns how often segments of this name are mapped in this process.
func mapped(t testing.TB, name string) int {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(maps), "/memfd:"+name+" ")
}

// panicOf returns the error that fn panics with.
func panicOf(t testing.TB, fn func()) (err error) {
	t.Helper()
	defer func() {
		t.Helper()
		var ok bool
		err, ok = recover().(error)
		require.True(t, ok, "it must panic with an error")
	}()
	fn()
	return nil
}
