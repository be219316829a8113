package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Conn is one end of a stream socket between two processes of a machine. It
// does what package net would, but a program that imports net is linked with
// the C library as a rule, and starts more slowly for that.
//
// All that it reads and writes says that it must not wait in the kernel
// (MSG_DONTWAIT): who sent this end over another socket may have a duplicate, and
// O_NONBLOCK belongs to both. And that no signal is wanted where nobody receives
// any more (MSG_NOSIGNAL): as standard output, Go would let it end the process.
type Conn struct {
	file    *os.File
	raw     syscall.RawConn
	written int64
}

// NewConn takes over a descriptor of a stream socket. It is closed if that
// fails.
func NewConn(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // so that Go polls it
		_ = unix.Close(fd) // the error at hand says more
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close() // the error at hand says more
		return nil, err
	}
	return &Conn{file: file, raw: raw}, nil
}

// Pair returns a connection, and the file that is its other end.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "socket")
	ours, err := NewConn(fds[0])
	if err != nil {
		_ = theirs.Close() // the error at hand says more
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Close closes the connection, and ends what is being sent and received.
func (c *Conn) Close() error { return c.file.Close() }

// CloseRead ends the stream from the peer, after what it has sent already.
func (c *Conn) CloseRead() error { return c.shutdown(unix.SHUT_RD) }

// CloseWrite ends the stream to the peer, after what was sent already.
func (c *Conn) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

func (c *Conn) shutdown(how int) error {
	return control(c.file, func(fd uintptr) error { return unix.Shutdown(int(fd), how) })
}

// AwaitClose blocks, in a thread, until the peer has closed its end: until
// nobody has it any more, not only until the peer sends no more.
func (c *Conn) AwaitClose() error {
	return control(c.file, func(fd uintptr) error {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, -1) // POLLHUP needs no asking
			if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	})
}

// SyscallConn gives access to the descriptor.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// SetReadDeadline makes reads fail with os.ErrDeadlineExceeded after t, those
// that wait already included. The zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline is the same for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }

// Read reads some bytes, without descriptors: those that come along are closed
// by the kernel. At the end of the stream it is io.EOF, also if the peer has
// left without reading all that was sent to it, which the kernel calls a reset.
func (c *Conn) Read(b []byte) (int, error) {
	n, _, _, err := c.readMsg(b, nil)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes all of b.
func (c *Conn) Write(b []byte) (int, error) {
	for done := 0; ; {
		n, err := c.writeMsg(b[done:], nil)
		done += max(n, 0)
		if done == len(b) || err != nil {
			return done, err
		}
	}
}

// Written returns how many bytes went out so far. It is for the goroutine that
// sends.
func (c *Conn) Written() int64 { return c.written }

// readMsg reads some bytes, and the control messages that came with them.
// Descriptors among them are close-on-exec. At the end of the stream it reads
// nothing.
func (c *Conn) readMsg(b, oob []byte) (n, oobn, flags int, err error) {
	failed := c.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case failed != nil:
		return 0, 0, 0, pollError(failed)
	case errors.Is(err, unix.ECONNRESET): // as in Read
		return 0, 0, 0, nil
	}
	return n, oobn, flags, err
}

// writeMsg writes some of b, with the control messages at its first byte.
func (c *Conn) writeMsg(b, oob []byte) (n int, err error) {
	failed := c.raw.Write(func(fd uintptr) bool {
		for {
			n, err = unix.SendmsgN(int(fd), b, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if failed != nil {
		return 0, pollError(failed)
	}
	c.written += int64(max(n, 0))
	return n, err
}

// pollError gives an error of waiting for a descriptor the identity that errors
// of os have: the deadline's has it, that of a closed file has none.
func pollError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return os.ErrClosed
}
