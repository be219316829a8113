package shm

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"
)

// mfdNoexecSeal makes a memfd that nobody can make executable, from Linux 6.3.
const mfdNoexecSeal = 0x8

// fixed are the seals without which a peer could shrink the file, so that a
// touch of the lost part ends the process with SIGBUS.
const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// longestName is how many bytes of a name the kernel takes.
const longestName = 249

// nameOr returns the name of a segment for things of type t: by default it is
// the type's.
func nameOr(name string, t reflect.Type) string {
	if name != "" {
		return name
	}
	name = t.String()
	return name[:min(len(name), longestName)]
}

// newMemfd makes an anonymous file of size zero bytes, sized for ever.
func newMemfd(name string, size int64) (_ *os.File, err error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|mfdNoexecSeal)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create %q: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // the error at hand says more
		}
	}()
	if err := unix.Ftruncate(fd, size); err != nil {
		return nil, fmt.Errorf("set the size to %d bytes: %w", size, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, fixed); err != nil {
		return nil, fmt.Errorf("seal the size: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// memfdName asks the kernel for the name that a memfd was created with. Without
// /proc it is not to be had.
func memfdName(fd int, otherwise string) string {
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	name, isMemfd := strings.CutPrefix(link, "/memfd:")
	if err != nil || !isMemfd {
		return otherwise
	}
	return strings.TrimSuffix(name, " (deleted)")
}

// sealed checks that the size of a foreign file cannot change any more.
func sealed(fd int) error {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&(unix.F_SEAL_SHRINK|unix.F_SEAL_GROW) != unix.F_SEAL_SHRINK|unix.F_SEAL_GROW {
		return fmt.Errorf("%w: not a memfd whose size is sealed", ErrLayout)
	}
	return nil
}
