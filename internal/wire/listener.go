package wire

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Listener is a Unix socket at which other processes can call.
type Listener struct {
	address string
	path    string      // the same, absolute; "" if it is in no file system
	made    unix.Stat_t // what lay at the path then
	file    *os.File
	raw     syscall.RawConn
}

// Listen makes a socket at an address: a path, or @ and a name that is in no
// file system. Only this user can connect to a path. It fails with EADDRINUSE if
// somebody listens there already, or if another file has the name. The socket
// that a dead listener left is replaced.
func Listen(address string, backlog int) (_ *Listener, err error) {
	at, err := sockaddr(address)
	if err != nil {
		return nil, err
	}
	l := &Listener{address: address}
	if !strings.HasPrefix(address, "@") {
		if l.path, err = absolute(address); err != nil {
			return nil, err
		}
	}
	fd, err := newSocket(0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // the error at hand says more
		}
	}()
	if err := locked(l.path, func() error { return l.bind(fd, at, backlog) }); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), address)
	l.file = file
	l.raw, err = file.SyscallConn()
	return l, err
}

// absolute does not clean the path: where a is a symbolic link, a/../b is not b.
func absolute(path string) (string, error) {
	if strings.HasPrefix(path, "/") {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

func newSocket(flags int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

func (l *Listener) bind(fd int, at *unix.SockaddrUnix, backlog int) error {
	if l.path != "" {
		if err := unix.Fchmod(fd, 0o600); err != nil { // the name gets this mode from the beginning
			return fmt.Errorf("fchmod: %w", err)
		}
	}
	err := unix.Bind(fd, at)
	if errors.Is(err, unix.EADDRINUSE) && l.stale(at) {
		if err := unix.Unlink(l.path); err != nil {
			return fmt.Errorf("remove what a dead listener left: %w", err)
		}
		err = unix.Bind(fd, at)
	}
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if l.path != "" {
		if err := unix.Lstat(l.path, &l.made); err != nil {
			return fmt.Errorf("stat: %w", err)
		}
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// stale reports whether the address is that of a socket at which nobody
// listens.
func (l *Listener) stale(at *unix.SockaddrUnix) bool {
	var st unix.Stat_t
	if l.path == "" || unix.Lstat(l.path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return false
	}
	fd, err := newSocket(unix.SOCK_NONBLOCK)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // never used
	return errors.Is(unix.Connect(fd, at), unix.ECONNREFUSED)
}

// Address returns the address as it was given.
func (l *Listener) Address() string { return l.address }

// Accept waits for a caller. It fails with os.ErrClosed when the listener is
// closed.
func (l *Listener) Accept() (*Conn, error) {
	var fd int
	var err error
	failed := l.raw.Read(func(own uintptr) bool {
		for {
			fd, _, err = unix.Accept4(int(own), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if failed != nil {
		return nil, pollError(failed)
	}
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	return NewConn(fd)
}

// Close ends Accept and removes the socket's name, if it still is this
// socket's. The name goes first: no other process replaces it while somebody
// listens there.
func (l *Listener) Close() error {
	var removed error
	var st unix.Stat_t
	if l.path != "" && unix.Lstat(l.path, &st) == nil && st.Ino == l.made.Ino && st.Dev == l.made.Dev {
		removed = unix.Unlink(l.path)
	}
	return errors.Join(l.file.Close(), removed)
}
