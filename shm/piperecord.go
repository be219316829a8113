package shm

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/probe"
)

func (p *Pipe[T]) sendRecord(ctx context.Context, v T) error {
	data, err := encodeItem(&v)
	if err != nil {
		return p.fail("send", err)
	}
	return p.sendMessage(ctx, len(data), func(message []byte) error {
		copy(message, data)
		return nil
	})
}

func (p *Pipe[T]) recvRecord(ctx context.Context) (v T, err error) {
	data, err := p.recvData(ctx)
	if err != nil {
		return v, err
	}
	return p.decode(data)
}

func (p *Pipe[T]) decode(data []byte) (v T, err error) {
	v, err = decodeItem[T](data)
	return v, p.fail("receive", err)
}

// recvData receives the next message, encoded.
func (p *Pipe[T]) recvData(ctx context.Context) (data []byte, err error) {
	err = p.recvMessage(ctx, func(message []byte) error { data = clone(message); return nil })
	return data, err
}

// sendMessage is Send for a message of n bytes, which write fills in.
func (p *Pipe[T]) sendMessage(ctx context.Context, n int, write func(message []byte) error) error {
	w := &p.end.send
	if w.words == nil {
		return p.fail("send", p.end.errDirection())
	}
	if err := p.send.fits(n); err != nil {
		return p.fail("send", err)
	}
	span := p.send.span(w.own, n)
	if _, err := w.beginSend(ctx, span, span); err != nil {
		return p.fail("send", err)
	}
	defer w.leave()
	probe.At(probe.Put33)
	if err := write(p.send.place(w.own, n)); err != nil {
		return err
	}
	w.commitSend(1, span)
	return nil
}

// recvMessage is Recv: read sees the message in its place.
func (p *Pipe[T]) recvMessage(ctx context.Context, read func(message []byte) error) error {
	w := &p.end.recv
	filled, err := w.beginRecv(ctx, 1)
	if err != nil {
		return p.fail("receive", err)
	}
	defer w.leave()
	probe.At(probe.Get43)
	message, units, err := p.recv.find(w.own, filled)
	if err != nil {
		return p.fail("receive", err)
	}
	if err := read(message); err != nil {
		return err
	}
	w.commitRecv(1, units)
	return nil
}

// SendFunc sends a message that fn writes in its place in shared memory, without
// a copy. It is for types without pointers; for bytes see [BytePipe.SendFunc].
// The place holds what an earlier message left there. If fn fails or panics,
// nothing is sent. Otherwise it is as Send.
func (p *Pipe[T]) SendFunc(ctx context.Context, fn func(message *T) error) error {
	if err := p.needSlots(); err != nil {
		return p.fail("send", err)
	}
	w := &p.end.send
	if _, err := w.beginSend(ctx, 1, 1); err != nil {
		return p.fail("send", err)
	}
	defer w.leave()
	probe.At(probe.Put33)
	if err := fn(p.out.at(w.own)); err != nil {
		return err
	}
	w.commitSend(1, 1)
	return nil
}

// RecvFunc lets fn see the next message in its place in shared memory, without a
// copy. The pointer is good during the call only. If fn fails or panics, the
// message is still the next. Otherwise it is as Recv.
func (p *Pipe[T]) RecvFunc(ctx context.Context, fn func(message *T) error) error {
	if err := p.needSlots(); err != nil {
		return p.fail("receive", err)
	}
	w := &p.end.recv
	if _, err := w.beginRecv(ctx, 1); err != nil {
		return p.fail("receive", err)
	}
	defer w.leave()
	probe.At(probe.Get43)
	if err := fn(p.in.at(w.own)); err != nil {
		return err
	}
	w.commitRecv(1, 1)
	return nil
}

func (p *Pipe[T]) needSlots() error {
	switch {
	case p.end.closed():
		return p.end.errDirection()
	case p.out == nil:
		return errInPlace[T]()
	}
	return nil
}
