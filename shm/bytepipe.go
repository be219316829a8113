package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
)

// A BytePipe is one end of a connection between two processes, over which
// messages of bytes go both ways. SendBytes and RecvBytes keep their
// boundaries; Read and Write do not, and make it an [io.ReadWriteCloser]. What
// is said of [Pipe] holds for it too.
type BytePipe struct {
	pipe  *Pipe[[]byte] // nil: nothing has arrived
	taken int           // bytes of the next message that Read has returned

	readEnd, writeEnd deadline
}

var _ io.ReadWriteCloser = (*BytePipe)(nil)

// NewBytePipe makes a pipe for bytes and returns its two ends; see [NewPipe].
func NewBytePipe(o *PipeOptions) (a, b *BytePipe, err error) {
	p, q, err := NewPipe[[]byte](o)
	if err != nil {
		return nil, nil, err
	}
	return &BytePipe{pipe: p}, &BytePipe{pipe: q}, nil
}

// inner returns the pipe of messages; of a BytePipe that did not arrive it is as
// if closed.
func (p *BytePipe) inner() *Pipe[[]byte] {
	if p.pipe == nil {
		return new(Pipe[[]byte])
	}
	return p.pipe
}

// SendBytes sends b as one message; otherwise it is as [Pipe.Send].
func (p *BytePipe) SendBytes(ctx context.Context, b []byte) error { return p.inner().Send(ctx, b) }

// SendFunc sends a message of n bytes that fn writes in its place in shared
// memory, without a copy. If fn fails or panics, nothing is sent. Otherwise it
// is as [Pipe.Send].
func (p *BytePipe) SendFunc(ctx context.Context, n int, fn func(message []byte) error) error {
	return p.inner().sendMessage(ctx, n, fn)
}

// RecvBytes returns the next message, or what Read has left of it. If that has
// more than most bytes it stays, and the error matches [io.ErrShortBuffer] and
// says how many it has. Otherwise it is as [Pipe.Recv].
func (p *BytePipe) RecvBytes(ctx context.Context, most int) (b []byte, err error) {
	err = p.RecvFunc(ctx, func(message []byte) error {
		if len(message) > most {
			return p.short(message, most)
		}
		b = clone(message)
		return nil
	})
	return b, err
}

// RecvInto receives the next message, or what Read has left of it, into b, and
// returns its length. If b is too short, the message stays, and the error
// matches [io.ErrShortBuffer] and says how many bytes it has. Otherwise it is as
// [Pipe.Recv].
func (p *BytePipe) RecvInto(ctx context.Context, b []byte) (n int, err error) {
	err = p.RecvFunc(ctx, func(message []byte) error {
		if len(message) > len(b) {
			return p.short(message, len(b))
		}
		n = copy(b, message)
		return nil
	})
	return n, err
}

func (p *BytePipe) short(message []byte, room int) error {
	return p.inner().fail("receive", fmt.Errorf("%w: a message of %d bytes, room for %d", io.ErrShortBuffer, len(message), room))
}

// RecvFunc lets fn see the next message, or what Read has left of it, in its
// place in shared memory, without a copy. The slice is good during the call
// only. If fn fails or panics, the message is still the next. Otherwise it is as
// [Pipe.Recv].
func (p *BytePipe) RecvFunc(ctx context.Context, fn func(message []byte) error) error {
	return p.inner().recvMessage(ctx, func(message []byte) error {
		if err := fn(message[min(p.taken, len(message)):]); err != nil {
			return err
		}
		p.taken = 0
		return nil
	})
}

// Read reads up to len(b) bytes of the next message; what is left of it comes
// with the next Read. Empty messages are passed over. It waits until there is
// something, or until the read deadline: [os.ErrDeadlineExceeded]. A deadline
// that has come wins over what is there.
func (p *BytePipe) Read(b []byte) (n int, err error) {
	switch {
	case p.inner().end.closed():
		return 0, p.inner().fail("receive", errClosed)
	case len(b) == 0:
		return 0, nil
	}
	for n == 0 && err == nil {
		err = p.readEnd.do(func(ctx context.Context) error {
			return p.inner().recvMessage(ctx, func(message []byte) error {
				n = copy(b, message[min(p.taken, len(message)):])
				if p.taken += n; p.taken < len(message) {
					return errRest
				}
				p.taken = 0
				return nil
			})
		})
	}
	if err == errRest {
		err = nil
	}
	return n, err
}

// errRest keeps a message that was not read to its end.
var errRest = errors.New("a part of the message is left")

// Write sends b, as more than one message if it is too long for one. It waits
// for room, or until the write deadline: [os.ErrDeadlineExceeded]. A deadline
// that has come wins over room.
func (p *BytePipe) Write(b []byte) (n int, err error) {
	if p.inner().end.closed() {
		return 0, p.inner().fail("send", errClosed)
	}
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), max(1, p.inner().send.biggest()))]
		if err = p.writeEnd.do(func(ctx context.Context) error { return p.SendBytes(ctx, part) }); err == nil {
			n += len(part)
			b = b[len(part):]
		}
	}
	return n, err
}

// SetDeadline sets the moment at which Read and Write give up, also those that
// wait now, as that of a net.Conn does. The zero time means never. The other
// methods have contexts.
func (p *BytePipe) SetDeadline(t time.Time) {
	p.SetReadDeadline(t)
	p.SetWriteDeadline(t)
}

// SetReadDeadline is SetDeadline for Read.
func (p *BytePipe) SetReadDeadline(t time.Time) { p.readEnd.set(t) }

// SetWriteDeadline is SetDeadline for Write.
func (p *BytePipe) SetWriteDeadline(t time.Time) { p.writeEnd.set(t) }

// Poll waits until RecvBytes would not wait, or ctx ends.
func (p *BytePipe) Poll(ctx context.Context) error { return p.inner().Poll(ctx) }

// Close closes this end; see [Pipe.Close].
func (p *BytePipe) Close() error { return p.inner().Close() }

// String describes the end.
func (p *BytePipe) String() string {
	return "shm.BytePipe" + p.inner().String()[len("shm.Pipe[[]uint8]"):]
}

// Await is for waiting for several things at once, as package proc does: an end
// is ready when RecvBytes would not wait.
func (p *BytePipe) Await(list *await.List) (ready bool) { return p.inner().Await(list) }

// Travels marks pipes as objects that may stand in arguments, results and
// messages.
func (*BytePipe) Travels() {}

// MarshalCBOR is for the module's own messages: it sends this end along. Anywhere
// else it fails. An end with a message of which Read has returned a part cannot
// be sent: the rest would be lost.
func (p *BytePipe) MarshalCBOR() ([]byte, error) {
	data, err := p.inner().MarshalCBOR()
	if err == nil && p.taken > 0 { // looked for when no Read is under way any more
		err = p.inner().fail("hand over", fmt.Errorf("%d bytes of a message were read and others not", p.taken))
	}
	return data, err
}

// UnmarshalCBOR is for the module's own messages: it makes p the end that came
// along. Anywhere else it fails.
func (p *BytePipe) UnmarshalCBOR(data []byte) error {
	p.pipe = new(Pipe[[]byte])
	return p.pipe.UnmarshalCBOR(data)
}
