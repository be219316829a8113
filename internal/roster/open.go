package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/inherit"
)

// Variable names another place for the roster, for tests and containers. All
// processes that share anything must name the same one.
const Variable = "MULTIPROC_ROSTER"

// enter finds this process's table and claims a slot in it: the table its
// parent is in, else the named one, else the user's. If the user's cannot be
// used or is full, a table without a name serves this process and its
// descendants; the named one and the parent's have no substitute, because
// somebody chose them.
func enter() (*table, ID, error) {
	if in := inherit.Get(); in != nil {
		t, id, err := claimIn(loadInherited(inheritedFile()))
		if err != nil {
			return nil, 0, fmt.Errorf("inherited roster: %w", err)
		}
		return t, id, nil
	}
	if path := os.Getenv(Variable); path != "" && !inherit.Elevated() {
		t, id, err := claimOpened(openPath(path))
		if err != nil {
			return nil, 0, fmt.Errorf("roster %s (named by %s): %w", path, Variable, err)
		}
		return t, id, nil
	}
	t, id, err := claimOpened(openPath(usual()))
	if err == nil {
		return t, id, nil
	}
	t, id, familyErr := claimOpened(family())
	if familyErr != nil {
		return nil, 0, errors.Join(err, familyErr)
	}
	return t, id, nil
}

// usual returns the path of the user's table. It is a variable for the tests.
var usual = func() string { return fmt.Sprintf("/dev/shm/multiproc-%d.v%d", os.Geteuid(), version) }

// claimOpened is claimIn for a table whose file was opened for this claim.
func claimOpened(t *table, err error) (*table, ID, error) {
	claimed, id, err := claimIn(t, err)
	if err != nil && t != nil {
		_ = t.file.Close() // the error at hand says more
	}
	return claimed, id, err
}

func claimIn(t *table, err error) (*table, ID, error) {
	if err != nil {
		return nil, 0, err
	}
	id, err := t.claim()
	if err != nil {
		t.unmap()
		return nil, 0, err
	}
	return t, id, nil
}

// inheritedFile is made once and kept: a garbage collected File would close the
// descriptor, and a later attempt would find a stranger's under its number.
var inheritedFile = sync.OnceValue(func() *os.File {
	return os.NewFile(uintptr(inherit.Get().Roster), "roster")
})

// openPath opens the table at path, making it if there is none.
func openPath(path string) (*table, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err == nil {
			file := os.NewFile(uintptr(fd), path)
			t, err := load(file)
			if err != nil {
				_ = file.Close() // the error at hand says more
				return nil, err
			}
			return t, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open: %w", err)
		}
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
}

// create makes a complete table and only then gives it its name, so that
// nobody ever sees half of one. Who loses the race for the name gets
// fs.ErrExist; who dies half-way leaves nothing.
func create(path string) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer func() { _ = file.Close() }() // the name, if it was given, stays
	if err := format(file, Slots); err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	return nil
}

// family makes a table without a name.
func family() (*table, error) {
	fd, err := unix.MemfdCreate("multiproc-roster", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "multiproc-roster")
	t, err := loadFamily(file)
	if err != nil {
		_ = file.Close() // the error at hand says more
		return nil, err
	}
	return t, nil
}

func loadFamily(file *os.File) (*table, error) {
	if err := file.Chmod(0o600); err != nil {
		return nil, err
	}
	if err := format(file, Slots); err != nil {
		return nil, err
	}
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, fixed); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return load(file)
}
