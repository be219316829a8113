package proc

import (
	"errors"
	"fmt"
	"os"

	"github.com/fxamacker/cbor/v2"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A connTicket is what travels in place of a connection.
type connTicket struct {
	_    struct{} `cbor:",toarray"`
	File int      // index of the socket's descriptor in the message
	Max  int      // limit of a received message, in bytes, where it comes from
}

// Travels marks connections as objects that may stand in arguments, results
// and messages.
func (c *Conn) Travels() {}

// MarshalCBOR is for the module's own messages: it sends a duplicate of this end
// along. Anywhere else it fails, and when the next message has been looked at
// here, or received in part.
func (c *Conn) MarshalCBOR() ([]byte, error) {
	if c.sock == nil {
		return nil, errors.New("proc: send a connection: it is none, but a zero Conn")
	}
	if c.in.Begun() {
		return nil, c.failed("hand over the connection to", errors.New("the next message has been received here, at least in part"))
	}
	file, err := wire.AddConn(c.sock)
	if err != nil {
		return nil, c.failed("hand over the connection to", err)
	}
	return cbor.Marshal(connTicket{File: file, Max: c.max})
}

// UnmarshalCBOR is for the module's own messages: it opens the end that came
// along. Anywhere else it fails. Its limit is what it was at the sender, but not
// above that of the connection over which it came.
func (c *Conn) UnmarshalCBOR(data []byte) error {
	var t connTicket
	if err := cbor.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("proc: receive a connection: %w", err)
	}
	sock, err := wire.TakeConn(t.File)
	if err != nil {
		return fmt.Errorf("proc: receive a connection: %w", err)
	}
	peer, err := sock.Peer()
	if t.Max <= 0 {
		err = fmt.Errorf("%w: a limit of %d bytes", wire.ErrFormat, t.Max)
	}
	if err != nil {
		_ = sock.Close() // nothing was sent
		return fmt.Errorf("proc: receive a connection: %w", err)
	}
	c.sock, c.peer, c.max = sock, peer, t.Max
	if limit := wire.Limit(); limit > 0 {
		c.max = min(c.max, limit)
	}
	c.sending, c.receiving, c.in = newTurn(), newTurn(), wire.NewReceiver(sock)
	wire.Undo(func() { _ = c.Close() }) // the error at hand says more
	return nil
}

// A File is an open file that may stand in arguments, results and messages:
// what arrives is another descriptor of the same open file, which shares its
// position. Whoever receives it must close it.
type File struct{ *os.File }

// A fileTicket is what travels in place of a file.
type fileTicket struct {
	_    struct{} `cbor:",toarray"`
	File int      // index of the descriptor in the message
	Name string
}

// Travels marks files as objects that may stand in arguments, results and
// messages.
func (f *File) Travels() {}

// MarshalCBOR is for the module's own messages: it sends a duplicate of the
// descriptor along. Anywhere else it fails.
func (f *File) MarshalCBOR() ([]byte, error) {
	if f.File == nil {
		return nil, fmt.Errorf("proc: send a file: %w", os.ErrInvalid)
	}
	file, err := wire.AddFile(f, f.File)
	if err != nil {
		return nil, fmt.Errorf("proc: send a file: %w", err)
	}
	return cbor.Marshal(fileTicket{File: file, Name: f.Name()})
}

// UnmarshalCBOR is for the module's own messages: it opens the file that came
// along. Anywhere else it fails.
func (f *File) UnmarshalCBOR(data []byte) error {
	var t fileTicket
	if err := cbor.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("proc: receive a file: %w", err)
	}
	file, err := wire.TakeFile(t.File, t.Name)
	if err != nil {
		return fmt.Errorf("proc: receive a file: %w", err)
	}
	f.File = file
	wire.Undo(func() { _ = file.Close() }) // the error at hand says more
	return nil
}

var _ wire.Traveller = (*File)(nil)
