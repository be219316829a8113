// Package memfd makes anonymous files, which are the memory that processes
// share.
package memfd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// noexecSeal makes a file that nobody can make executable, from Linux 6.3.
const noexecSeal = 0x8

// New makes a file of size zero bytes, which can neither shrink nor grow: a peer
// could otherwise take memory away, so that a touch of it ends the process with
// SIGBUS. Further seals can be added. The name is for people.
func New(name string, size int64) (_ *os.File, err error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|noexecSeal)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create %q: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Ftruncate(fd, size); err != nil {
		return nil, errors.Join(fmt.Errorf("set the size to %d bytes: %w", size, err), f.Close())
	}
	if err := Seal(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return nil, errors.Join(fmt.Errorf("seal the size: %w", err), f.Close())
	}
	return f, nil
}

// Seal adds seals: see fcntl(2).
func Seal(f *os.File, seals int) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	closed := c.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_ADD_SEALS, seals) })
	return errors.Join(closed, err)
}
