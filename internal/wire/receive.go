package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// firstChunk is how much memory the data of a frame gets before any has come.
const firstChunk = 1 << 20

// Recv reads one frame, as a [Receiver] does. The caller must close the
// message. After any error c is of no use any more, and all descriptors that
// were received are closed. No two goroutines may receive at once.
func Recv(c *Conn) (kind byte, m *Message, err error) {
	r := NewReceiver(c)
	if kind, _, err = r.Head(); err == nil {
		m, err = r.Body()
	}
	if err != nil {
		r.Close()
		return 0, nil, err
	}
	return kind, m, nil
}

// A Receiver reads frames from a connection. What it has of a frame when a
// deadline of the connection passes it keeps: the next call goes on there.
//
// Errors are io.EOF if the stream ends between two frames, and match
// io.ErrUnexpectedEOF if it ends inside one, as when the peer dies. Bytes that are no
// frame match ErrFormat. After these, each further call gives the same error.
// Only one goroutine may use a receiver at a time, Begun aside.
type Receiver struct {
	conn   *Conn
	header [headerSize]byte
	have   int // bytes of the header
	oob    []byte

	message *Message // of the frame that has begun
	headed  bool     // its header and descriptors are complete
	length  int      // of its data, once it is headed
	filled  int      // bytes of its data that have come
	begun   atomic.Bool
	err     error
}

// NewReceiver returns a receiver that is between two frames.
func NewReceiver(c *Conn) *Receiver {
	return &Receiver{conn: c, oob: make([]byte, unix.CmsgSpace(4*batchSize)), message: &Message{}}
}

// Begun reports whether a part of a frame has been read, but not all of it.
func (r *Receiver) Begun() bool { return r.begun.Load() }

// Close closes the descriptors of a frame that has not been read completely.
// After that the receiver is of no use any more.
func (r *Receiver) Close() {
	r.message.Close()
	if r.err == nil {
		r.err = os.ErrClosed
	}
}

// Head reads as far as the data of the next frame, and returns its kind and the
// length of its data. The frame stays: Head returns the same until Body has
// taken it.
func (r *Receiver) Head() (kind byte, length int, err error) {
	if err := r.head(); err != nil {
		return 0, 0, r.failed(err)
	}
	return r.header[2], r.length, nil
}

// Body reads the data of the frame whose head was read, and returns its message,
// which the caller must close. The descriptors are close-on-exec.
func (r *Receiver) Body() (*Message, error) {
	if err := r.body(); err != nil {
		return nil, r.failed(err)
	}
	m := r.message
	r.message, r.have, r.headed, r.filled = &Message{}, 0, false, 0
	r.begun.Store(false)
	return m, nil
}

// failed keeps an error that cannot be recovered from.
func (r *Receiver) failed(err error) error {
	if r.err == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.message.Close()
		r.err = err
	}
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("receive message: %w", err)
}

func (r *Receiver) head() error {
	if r.err != nil || r.headed {
		return r.err
	}
	for r.have < headerSize {
		n, err := r.files(r.header[r.have:])
		if err == io.EOF && r.have > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		r.have += n
		r.begun.Store(true)
	}
	h, m := r.header[:], r.message
	if binary.LittleEndian.Uint16(h[0:]) != magic || h[3] != 0 {
		return fmt.Errorf("%w: header % x", ErrFormat, h)
	}
	files := binary.LittleEndian.Uint32(h[4:])
	length := binary.LittleEndian.Uint64(h[8:])
	switch {
	case length > math.MaxInt:
		return fmt.Errorf("%w: length %d", ErrFormat, length)
	case files > maxFiles:
		return fmt.Errorf("%w: %d descriptors, at most %d are allowed", ErrFormat, files, maxFiles)
	}
	for len(m.Files) < int(files) {
		before := len(m.Files)
		switch _, err := r.files(make([]byte, 1)); {
		case err != nil:
			return unexpected(err)
		case len(m.Files) == before:
			return fmt.Errorf("%w: %d descriptors of %d", ErrFormat, before, files)
		}
	}
	if got := len(m.Files); got != int(files) {
		return fmt.Errorf("%w: %d descriptors instead of %d", ErrFormat, got, files)
	}
	r.length, m.form, r.headed = int(length), binary.LittleEndian.Uint64(h[16:]), true
	return nil
}

// files reads some bytes and appends the descriptors that came with them to
// the message. With each byte there may be a batch of them, so they are limited
// before the header has said how many there are.
func (r *Receiver) files(b []byte) (n int, err error) {
	n, oobn, flags, err := r.conn.readMsg(b, r.oob)
	if oobn > 0 {
		if err := r.message.take(r.oob[:oobn]); err != nil {
			return 0, err
		}
	}
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	case flags&unix.MSG_CTRUNC != 0:
		return 0, fmt.Errorf("descriptors were dropped on the way: %w", unix.EMFILE)
	case len(r.message.Files) > maxFiles:
		return 0, fmt.Errorf("%w: more than %d descriptors", ErrFormat, maxFiles)
	}
	return n, nil
}

// body reads the data. Its length is the claim of the peer, so memory is taken
// as the bytes arrive.
func (r *Receiver) body() error {
	if r.err != nil {
		return r.err
	}
	m := r.message
	for r.filled < r.length {
		if r.filled == len(m.Data) {
			more := make([]byte, min(r.length, max(firstChunk, 2*r.filled)))
			copy(more, m.Data)
			m.Data = more
		}
		n, err := r.conn.Read(m.Data[r.filled:])
		if r.filled += n; err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// take appends the descriptors of a control message. Those of processes it closes: the
// kernel adds one to each message of a socket whose former owner has set SO_PASSPIDFD,
// or sets it yet, as they share it.
func (m *Message) take(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for i := range messages {
		switch messages[i].Header.Type {
		case unix.SCM_RIGHTS:
		case unix.SCM_PIDFD:
			if fd := messages[i].Data; len(fd) >= 4 {
				_ = unix.Close(int(int32(binary.NativeEndian.Uint32(fd))))
			}
			continue
		default:
			continue
		}
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		for _, fd := range fds {
			m.Files = append(m.Files, os.NewFile(uintptr(fd), "received"))
		}
		probe.At(probe.Hand75)
	}
	return nil
}

// unexpected is for errors inside a frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
