//go:build crash || stress

package shm

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// linkOf returns a connection of its own over the socket, which it closes.
func linkOf(f *os.File) (*wire.Conn, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0) // NewConn takes it over
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, err
	}
	return wire.NewConn(fd)
}
