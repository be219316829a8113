package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A frame is a message on a stream socket, little endian:
//
//	off size field
//	  0    2 magic   0x4d50
//	  2    1 kind    of the caller
//	  3    1         0
//	  4    4 files   number of descriptors
//	  8    8 length  of the data
//	 16      batches one byte for each 253 descriptors after the first 253
//	         data
//
// The kernel passes at most 253 descriptors at a time, and only with data: the
// first ones come with the header, the others with the bytes of the batches.
const (
	magic      = 0x4d50
	headerSize = 16
	batchSize  = 253 // SCM_MAX_FD
	firstChunk = 1 << 20
	smallData  = 1 << 16 // cheaper copied than sent apart
)

// Send writes m, or an empty message if m is nil, as one frame. It does not
// close m. It blocks while the peer does not read: a deadline or Close of c ends
// that. If it fails, c is of no use any more. No two goroutines may send at once.
func Send(c *Conn, kind byte, m *Message) error {
	if m == nil {
		m = &Message{}
	}
	if err := send(c, kind, m); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

func send(c *Conn, kind byte, m *Message) error {
	if len(m.Files) > math.MaxUint32 {
		return fmt.Errorf("%d descriptors are too many", len(m.Files))
	}
	header := make([]byte, headerSize)
	binary.LittleEndian.PutUint16(header[0:], magic)
	header[2] = kind
	binary.LittleEndian.PutUint32(header[4:], uint32(len(m.Files)))
	binary.LittleEndian.PutUint64(header[8:], uint64(len(m.Data)))

	if len(m.Files) == 0 && len(m.Data) <= smallData {
		return write(c, append(header, m.Data...)) // one system call, one wake-up
	}
	if len(m.Files) == 0 {
		if err := write(c, header); err != nil {
			return err
		}
	}
	for b, files := header, m.Files; len(files) > 0; b = b[:1] {
		n := min(len(files), batchSize)
		if err := sendFiles(c, b, files[:n]); err != nil {
			return err
		}
		files = files[n:]
	}
	return write(c, m.Data)
}

// sendFiles writes b and passes files with its first byte.
func sendFiles(c *Conn, b []byte, files []*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		if err := control(f, func(fd uintptr) error { fds[i] = int(fd); return nil }); err != nil {
			return err
		}
	}
	n, err := c.writeMsg(b, unix.UnixRights(fds...))
	runtime.KeepAlive(files)
	if err != nil {
		return err
	}
	return write(c, b[n:])
}

func write(c *Conn, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := c.Write(b)
	return err
}

// Recv reads one frame. The caller must close the message. The descriptors are
// close-on-exec.
//
// The error is io.EOF if the stream ends between two frames, and matches
// io.ErrUnexpectedEOF if it ends inside one, as when the peer dies. (A peer that
// dies before it has read everything may also be seen as ECONNRESET.) Bytes that
// are no frame match ErrFormat. After any error c is of no use any more, and
// all descriptors that were received are closed. No two goroutines may receive
// at once.
func Recv(c *Conn) (kind byte, m *Message, err error) {
	m = &Message{}
	if kind, err = recv(c, m); err != nil {
		m.Close()
		if err == io.EOF {
			return 0, nil, err
		}
		return 0, nil, fmt.Errorf("receive message: %w", err)
	}
	return kind, m, nil
}

func recv(c *Conn, m *Message) (kind byte, err error) {
	header := make([]byte, headerSize)
	oob := make([]byte, unix.CmsgSpace(4*batchSize))
	for n := 0; n < headerSize; {
		k, err := recvFiles(c, header[n:], oob, m)
		if err == io.EOF && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		n += k
	}
	if binary.LittleEndian.Uint16(header[0:]) != magic || header[3] != 0 {
		return 0, fmt.Errorf("%w: header % x", ErrFormat, header)
	}
	files := uint64(binary.LittleEndian.Uint32(header[4:]))
	length := binary.LittleEndian.Uint64(header[8:])
	if length > math.MaxInt {
		return 0, fmt.Errorf("%w: length %d", ErrFormat, length)
	}

	for uint64(len(m.Files)) < files {
		before := len(m.Files)
		switch _, err := recvFiles(c, header[:1], oob, m); {
		case err != nil:
			return 0, unexpected(err)
		case len(m.Files) == before:
			return 0, fmt.Errorf("%w: %d descriptors of %d", ErrFormat, before, files)
		}
	}
	if got := uint64(len(m.Files)); got != files {
		return 0, fmt.Errorf("%w: %d descriptors instead of %d", ErrFormat, got, files)
	}
	m.Data, err = recvData(c, int(length))
	return header[2], err
}

// recvFiles reads some bytes and appends the descriptors that came with them to
// the files of m.
func recvFiles(c *Conn, b, oob []byte, m *Message) (n int, err error) {
	n, oobn, flags, err := c.readMsg(b, oob)
	if oobn > 0 {
		if err := m.take(oob[:oobn]); err != nil {
			return 0, err
		}
	}
	switch {
	case errors.Is(err, io.EOF), err == nil && n == 0:
		return 0, io.EOF
	case err != nil:
		return 0, err
	case flags&unix.MSG_CTRUNC != 0:
		return 0, fmt.Errorf("descriptors were dropped on the way: %w", unix.EMFILE)
	}
	return n, nil
}

// take appends the descriptors of a control message.
func (m *Message) take(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for i := range messages {
		if messages[i].Header.Type != unix.SCM_RIGHTS {
			continue
		}
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		for _, fd := range fds {
			m.Files = append(m.Files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return nil
}

// recvData reads n bytes. The length is the claim of the peer, so memory is
// taken as the bytes arrive.
func recvData(c *Conn, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	data := make([]byte, min(n, firstChunk))
	for have := 0; ; {
		k, err := io.ReadFull(c, data[have:])
		if have += k; err != nil {
			return nil, unexpected(err)
		}
		if have == n {
			return data, nil
		}
		more := make([]byte, have+min(have, n-have))
		copy(more, data)
		data = more
	}
}

// unexpected is for errors inside a frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
