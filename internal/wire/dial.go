package wire

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// connectSlice is how long, in microseconds, one call to connect waits for a
// listener whose queue is full. A context that ends meanwhile is seen after that.
const connectSlice = 20_000

// Dial connects to the listener at an address. While its queue is full, Dial
// waits, until ctx ends.
func Dial(ctx context.Context, address string) (*Conn, error) {
	at, err := sockaddr(address)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket()
	if err != nil {
		return nil, err
	}
	if err := connect(ctx, fd, at); err != nil {
		_ = unix.Close(fd) // the error at hand says more
		return nil, err
	}
	return NewConn(fd)
}

// connect is a blocking call with a time limit: the kernel has no other way to
// wait for room in a Unix listener's queue.
func connect(ctx context.Context, fd int, at *unix.SockaddrUnix) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: connectSlice}); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	for {
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
	}
}

// A Peer is the process at the other end.
type Peer struct{ Pid, UID int }

// Peer names the process that connected or listened at the other end, and its
// effective user, as the kernel knew them at that moment. Both ends of a pair
// name the process that made it.
func (c *Conn) Peer() (Peer, error) {
	var peer Peer
	err := control(c.file, func(fd uintptr) error {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return fmt.Errorf("getsockopt SO_PEERCRED: %w", err)
		}
		peer = Peer{Pid: int(cred.Pid), UID: int(cred.Uid)}
		return nil
	})
	return peer, err
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
