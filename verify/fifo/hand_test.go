package fifo

import (
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// hand starts a helper and sends it v, which it receives with take.
func hand[T any](t *testing.T, p *proctest.Program, v T) *proctest.Proc {
	t.Helper()
	c, theirs, err := wire.Pair()
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	helper := p.Start(t, []*os.File{theirs})
	require.NoError(t, theirs.Close())
	m, err := wire.Encode(reflect.ValueOf(v))
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, wire.Send(c, 1, m))
	return helper
}

func take[T any](h *proctest.Helper) (v T, err error) {
	fd, err := unix.FcntlInt(h.Files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0) // NewConn takes it over
	if err != nil {
		return v, err
	}
	c, err := wire.NewConn(fd)
	if err != nil {
		return v, err
	}
	defer func() { _ = c.Close() }() // it was read
	_, m, err := wire.Recv(c)
	if err != nil {
		return v, err
	}
	defer m.Close()
	err = wire.Decode(m, reflect.ValueOf(&v).Elem())
	return v, err
}
