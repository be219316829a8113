package wire

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// locked runs fn while no other process that uses this package makes a socket at
// the path: so a socket that nobody listens at is what a dead process left, and
// not one that is being made. For that there is a file beside the socket, which
// nobody but this user can open. The kernel lets the lock go when its holder
// dies; the file that it leaves is taken and removed by the next one.
func locked(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	base := strings.LastIndexByte(path, '/') + 1
	name := path[:base] + ".multiproc-lock-" + path[base:]
	// The holder may be stopped, so this does not wait for ever.
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		f, err := lock(name)
		switch {
		case err == nil:
			defer func() {
				_ = unix.Unlink(name) // before it is unlocked; if that fails, it is for the next one
				_ = f.Close()         // nothing was written
			}()
			return fn()
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock %s: %w", name, err)
		case time.Now().After(end):
			return fmt.Errorf("lock %s: another process has held it for a second: %w", name, err)
		}
	}
}

// lock makes the file if there is none, and locks it. EWOULDBLOCK means that
// another process has it, or has just removed it.
func lock(name string) (_ *os.File, err error) {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		if err != nil {
			_ = f.Close() // the error at hand says more
		}
	}()
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != 0 || os.Geteuid() != 0 && int(st.Uid) != os.Geteuid():
		return nil, errors.New("it is not an empty file of this user") // root may remove everybody's
	case st.Nlink == 0:
		return nil, unix.EWOULDBLOCK
	}
	return f, nil
}
