package shm

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"
)

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

// sealed checks that the size of a foreign file cannot change any more, and that
// its pages are ordinary ones.
func sealed(fd int) error {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&(unix.F_SEAL_SHRINK|unix.F_SEAL_GROW) != unix.F_SEAL_SHRINK|unix.F_SEAL_GROW {
		return fmt.Errorf("%w: not a memfd whose size is sealed", ErrLayout)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	if fs.Type == unix.HUGETLBFS_MAGIC { // there may be no page for a hole
		return fmt.Errorf("%w: a memfd of huge pages", ErrLayout)
	}
	return nil
}
