package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// Errors of connections that callers are expected to tell apart with errors.Is.
var (
	// ErrTooLarge means that the next message is larger than the receiver
	// allows. It stays where it is.
	ErrTooLarge = errors.New("message is too large")

	// ErrKind means that the next message was sent as a value and is to be
	// received as bytes, or the other way round. It stays where it is.
	ErrKind = errors.New("message is of the other kind")
)

// Frames on a connection.
const (
	frameValue byte = 16 + iota
	frameBytes
)

const defaultMaxMessage = 1 << 30

// A Conn is one end of a connection between two processes of this machine:
// Python's Connection. What one end sends the other one receives, in messages
// that stay whole and in order. [Dial] and [Listen] connect processes that have
// nothing else in common, [NewConn] makes a pair to hand over to a child.
//
// Its methods may be called by several goroutines; several may send and several
// receive at once. It belongs to one process at a time: who sends an end to
// another process, in an argument or over a connection, sends a duplicate, and
// closes its own without using it any more.
//
// When the process at the other end dies, in any way, that is the end of the
// stream after all the messages that it had sent. A connection that is not
// closed is closed with its process.
//
// Whether there is something to receive is for [Wait] to tell: with a context
// that has ended it looks once, as Python's Connection.poll does.
//
// The zero Conn, as one that did not arrive, is as if closed. Its peer is 0. The
// methods of a nil pointer panic, as those of all types here.
type Conn struct {
	sock *wire.Conn
	peer wire.Peer
	max  int // bytes of a received message

	sending   turn
	broken    error // why nothing can be sent any more; for who has the turn
	receiving turn
	in        *wire.Receiver // for who has the turn
	refused   atomic.Bool    // the last receive failed: the next one will not wait
	closed    atomic.Bool
}

func newConn(sock *wire.Conn, peer wire.Peer, maximum int) *Conn {
	return &Conn{
		sock: sock, peer: peer, max: maximum,
		sending: newTurn(), receiving: newTurn(), in: wire.NewReceiver(sock),
	}
}

// NewConn returns a connected pair: Python's Pipe. Usually one end goes to a child
// in its argument and is closed here afterwards; else the end of the stream
// would never come. The caller must close both.
func NewConn() (a, b *Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("proc: make a connection: socketpair: %w", err)
	}
	peer := wire.Peer{Pid: os.Getpid(), UID: os.Geteuid(), Pair: true}
	var ends [2]*Conn
	for i, fd := range fds {
		sock, err := wire.NewConn(fd)
		if err != nil {
			return nil, nil, fmt.Errorf("proc: make a connection: %w", err) // cannot happen: both are new sockets
		}
		ends[i] = newConn(sock, peer, defaultMaxMessage)
	}
	return ends[0], ends[1], nil
}

// Peer returns the id and the effective user id of the process that connected
// or listened at the other end. The kernel vouches for them. It is not known
// whether that process has handed its end on, or has ended and its id was used
// anew. Both ends of a pair name the process that made it.
func (c *Conn) Peer() (pid, uid int) {
	if c.absent() {
		return 0, 0
	}
	return c.peer.Pid, c.peer.UID
}

// String says who is at the other end.
func (c *Conn) String() string {
	if c.absent() || c.closed.Load() {
		return "proc.Conn(closed)"
	}
	return fmt.Sprintf("proc.Conn(to %s)", c.other())
}

func (c *Conn) other() string {
	switch {
	case c.absent():
		return "nobody"
	case c.peer.Pair:
		return fmt.Sprintf("the other end of a pair made by process %d", c.peer.Pid)
	default:
		return fmt.Sprintf("process %d", c.peer.Pid)
	}
}

// absent reports whether this is no connection at all: it did not arrive.
func (c *Conn) absent() bool { return c.sock == nil }

// Send sends v. Its type must be one whose values come back equal, as that of
// an argument, see [Register]: shared arrays, values, connections and files may
// stand anywhere inside, as pointers. Of a type that cannot travel the error
// names the path of the field, and nothing is sent.
//
// Send waits while the other end does not receive. If ctx ends before a part of
// the message is out, nothing was sent. If it ends later, nothing can be sent
// on this connection any more: the other end gets io.ErrUnexpectedEOF, and later
// calls an error that matches syscall.EPIPE. So they do if the other end has been
// closed or its process has died, and ErrClosed if this one was closed. A message
// that was sent has not necessarily been received.
func (c *Conn) Send(ctx context.Context, v any) error {
	t := reflect.TypeOf(v)
	if t == nil {
		return errors.New("proc: send: nil has no type")
	}
	m, err := wire.Encode(reflect.ValueOf(v))
	if err != nil {
		return fmt.Errorf("proc: send a %v: %w", t, err)
	}
	defer m.Close()
	return c.send(ctx, frameValue, m)
}

// SendBytes sends b as one message, which may be empty. Otherwise it is as
// Send. The bytes must not be changed meanwhile.
func (c *Conn) SendBytes(ctx context.Context, b []byte) error {
	return c.send(ctx, frameBytes, &wire.Message{Data: b})
}

func (c *Conn) send(ctx context.Context, kind byte, m *wire.Message) error {
	if c.absent() {
		return c.failed("send to", ErrClosed)
	}
	if err := c.sending.take(ctx); err != nil {
		return c.failed("send to", err)
	}
	defer c.sending.give()
	if c.broken != nil && !c.closed.Load() {
		return c.failed("send to", c.broken)
	}
	before := c.sock.Written()
	err := interruptible(ctx, c.sock.SetWriteDeadline, func() error { return wire.Send(c.sock, kind, m) })
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ECONNRESET) { // the same, if it had not read everything
		err = fmt.Errorf("%w: %w", syscall.EPIPE, err)
	}
	if c.sock.Written() != before && !c.closed.Load() {
		c.broken = fmt.Errorf("%w: an earlier message was sent in part only: %s", syscall.EPIPE, err.Error())
		_ = c.sock.CloseWrite() // so that the other end does not wait for the rest
	}
	return c.failed("send to", err)
}

// Recv waits for the next message, which must have been sent by Send, and
// stores its value in what into points to. The value must have been sent as
// that type, or as one with the same fields: another one is an error, and the
// message is lost. Then *into is zero, and the shared objects that came along are
// closed.
//
// The end of the stream is io.EOF, and matches io.ErrUnexpectedEOF inside a
// message: the other end was closed or its process has died. If ctx ends first,
// the connection stays good, and what has come of a message is kept for the
// next call. The error matches ErrKind if the next message is for RecvBytes, and
// ErrTooLarge if it is over the limit of the connection; the message stays. What
// is no message at all, or one of a later version, matches ErrProtocol; so does
// one with more than 1024 descriptors. Then only Close is left, as after EMFILE: this
// process may have no more descriptors, and the kernel has dropped some of the
// message's.
func (c *Conn) Recv(ctx context.Context, into any) error {
	to := reflect.ValueOf(into)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fmt.Errorf("proc: receive into a %T: it is no pointer to a variable", into)
	}
	t := to.Type().Elem()
	if err := wire.Check(t); err != nil {
		return fmt.Errorf("proc: receive a %v: %w", t, err)
	}
	m, err := c.receive(ctx, frameValue, 0)
	if err != nil {
		return err
	}
	defer m.Close()
	m.Limit = c.max
	to.Elem().SetZero()
	if err := m.Holds(t); err != nil {
		return c.failed("receive from", err)
	}
	if err := wire.Decode(m, to.Elem()); err != nil {
		return c.failed("receive from", err)
	}
	return nil
}

// RecvBytes waits for the next message, which must have been sent by SendBytes,
// and returns it. One of more than maximum bytes matches ErrTooLarge and stays: a
// call with a larger maximum gets it. A maximum of 0 or less means the limit of
// the connection; for a message above that, only Close is left. Otherwise it is
// as Recv.
func (c *Conn) RecvBytes(ctx context.Context, maximum int) ([]byte, error) {
	m, err := c.receive(ctx, frameBytes, maximum)
	if err != nil {
		return nil, err
	}
	m.Close()
	return m.Data, nil
}

func (c *Conn) receive(ctx context.Context, kind byte, maximum int) (m *wire.Message, err error) {
	if c.absent() {
		return nil, c.failed("receive from", ErrClosed)
	}
	if err := c.receiving.take(ctx); err != nil {
		return nil, c.failed("receive from", err)
	}
	defer c.receiving.give()
	if maximum <= 0 || maximum > c.max {
		maximum = c.max
	}
	err = interruptible(ctx, c.sock.SetReadDeadline, func() error {
		got, length, err := c.in.Head()
		if err != nil {
			return err
		}
		if err := fits(got, kind, length, maximum); err != nil {
			return err
		}
		if m, err = c.in.Body(); err == nil {
			c.refused.Store(false)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		c.refused.Store(true) // the next call fails as well, or finds the message that stays
	}
	switch {
	case err == io.EOF:
		return nil, err
	case errors.Is(err, wire.ErrFormat):
		return nil, c.failed("receive from", fmt.Errorf("%w: %w", ErrProtocol, err))
	case err != nil:
		return nil, c.failed("receive from", err)
	}
	return m, nil
}

func fits(got, want byte, length, maximum int) error {
	switch {
	case got == want && length <= maximum:
		return nil
	case got == want:
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrTooLarge, length, maximum)
	case got == frameValue:
		return fmt.Errorf("%w: it holds a value: Recv gets it", ErrKind)
	case got == frameBytes:
		return fmt.Errorf("%w: it holds bytes: RecvBytes gets it", ErrKind)
	default:
		return fmt.Errorf("%w: the next message is of the unknown kind %d", ErrProtocol, got)
	}
}

// Await is for [Wait]: the connection is ready when a message has come, at least
// its beginning, or its end, or when it was closed here.
func (c *Conn) Await(list *await.List) bool {
	return c.absent() || c.refused.Load() || Readable(c.sock).Await(list)
}

// Close closes this end. Calls that wait fail with ErrClosed. The other end gets
// all messages that were sent, and then io.EOF, unless another process has
// this end as well. Closing twice is allowed.
func (c *Conn) Close() error {
	if c.absent() || c.closed.Swap(true) {
		return nil
	}
	err := c.sock.Close() // ends all calls that wait
	await.Notify()
	c.receiving <- struct{}{}
	c.in.Close()
	c.receiving.give()
	if err != nil {
		return c.failed("close the connection to", err)
	}
	return nil
}

func (c *Conn) failed(op string, err error) error {
	return fmt.Errorf("proc: %s %s: %w", op, c.other(), err)
}

var _ interface {
	fmt.Stringer
	io.Closer
	await.Source
	wire.Traveller
} = (*Conn)(nil)
