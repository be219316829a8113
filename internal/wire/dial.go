package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// connectPause is the longest time between two looks whether a listener's queue
// has room.
const connectPause = 20 * time.Millisecond

// Dial connects to the listener at an address. While its queue is full, Dial
// waits, until ctx ends.
func Dial(ctx context.Context, address string) (*Conn, error) {
	at, err := sockaddr(address)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx, fd, at); err != nil {
		_ = unix.Close(fd) // the error at hand says more
		return nil, err
	}
	return NewConn(fd)
}

// connect looks again and again: the only other way to wait for room in a Unix
// listener's queue is to block a thread.
func connect(ctx context.Context, fd int, at *unix.SockaddrUnix) error {
	for pause := time.Millisecond; ; pause = min(2*pause, connectPause) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := unix.Connect(fd, at)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("connect: %w", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// A Peer is the process at the other end.
type Peer struct {
	Pid, UID int
	Pair     bool // both ends of a pair name the process that made it
}

// Peer names the process that connected or listened at the other end, and its
// effective user, as the kernel knew them at that moment.
func (c *Conn) Peer() (Peer, error) {
	var peer Peer
	err := control(c.file, func(fd uintptr) error {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return fmt.Errorf("getsockopt SO_PEERCRED: %w", err)
		}
		peer = Peer{Pid: int(cred.Pid), UID: int(cred.Uid), Pair: !named(unix.Getsockname(int(fd))) && !named(unix.Getpeername(int(fd)))}
		return nil
	})
	return peer, err
}

// named reports whether a socket has an address. That of a listener has, and so
// have those that it accepts. Package unix writes @ for none.
func named(at unix.Sockaddr, err error) bool {
	u, ok := at.(*unix.SockaddrUnix)
	return err == nil && ok && u.Name != "" && u.Name != "@"
}

// AddConn adds a duplicate of c to the message that this goroutine is encoding,
// as AddFile does.
func AddConn(c *Conn) (index int, err error) { return AddFile(c, c.file) }

// TakeConn returns a connection with a duplicate of a descriptor of the message
// that this goroutine is decoding, see File. What is no stream socket of the
// Unix family matches ErrFormat.
func TakeConn(index int) (*Conn, error) {
	f, err := File(index)
	if err != nil {
		return nil, err
	}
	for option, want := range map[int]int{unix.SO_DOMAIN: unix.AF_UNIX, unix.SO_TYPE: unix.SOCK_STREAM} {
		if err := control(f, func(fd uintptr) error {
			got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, option)
			if err != nil || got != want {
				return fmt.Errorf("%w: descriptor %d is no stream socket between processes", ErrFormat, index)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	fd, err := duplicateFD(f)
	if err != nil {
		return nil, err
	}
	return NewConn(fd)
}
