package wire

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// A frame is a message on a stream socket, little endian:
//
//	off size field
//	  0    2 magic   0x4d50
//	  2    1 kind    of the caller
//	  3    1         0
//	  4    4 files   number of descriptors, at most 1024
//	  8    8 length  of the data
//	 16    8 form    of the value that the data holds, see form.sum
//	 24      batches one byte for each 253 descriptors after the first 253
//	         data
//
// The kernel passes at most 253 descriptors at a time, and only with data: the
// first ones come with the header, the others with the bytes of the batches.
const (
	magic      = 0x4d50
	headerSize = 24
	batchSize  = 253     // SCM_MAX_FD
	smallData  = 1 << 16 // cheaper copied than sent apart
)

// Send writes m, or an empty message if m is nil, as one frame. It does not
// close m; from its success on Close takes nothing back. It blocks while the peer
// does not read: a deadline or Close of c ends that. If it fails after it has
// written something (see [Conn.Written]), c is of no use for sending any more. No
// two goroutines may send over c at once; m may go over several connections at once.
func Send(c *Conn, kind byte, m *Message) error {
	if m == nil {
		m = &Message{}
	}
	if err := send(c, kind, m); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	if len(m.undo) > 0 {
		probe.At(probe.Hand73)
		m.sent.Store(true)
	}
	return nil
}

func send(c *Conn, kind byte, m *Message) error {
	if len(m.Files) > maxFiles {
		return errFiles
	}
	header := make([]byte, headerSize)
	binary.LittleEndian.PutUint16(header[0:], magic)
	header[2] = kind
	binary.LittleEndian.PutUint32(header[4:], uint32(len(m.Files)))
	binary.LittleEndian.PutUint64(header[8:], uint64(len(m.Data)))
	binary.LittleEndian.PutUint64(header[16:], m.form)

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
	probe.At(probe.Hand72)
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
