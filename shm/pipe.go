package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// PipeOptions tune NewPipe and NewBytePipe. Nil means the defaults.
type PipeOptions struct {
	// Name is for people: it shows in /proc/PID/maps.
	//
	// The default is the type of the messages.
	Name string

	// OneWay makes the first end receive only, and the second send only.
	//
	// The default is false: both ends do both.
	OneWay bool

	// Capacity is how many messages fit into each direction.
	//
	// The default is 1024.
	Capacity int

	// Bytes is the room in each direction for messages that do not have a fixed
	// size; see QueueOptions.
	//
	// The default is 256 bytes for each message of the capacity, and at least 1 MiB.
	Bytes int
}

const defaultCapacity = 1024

// A Pipe is one end of a connection between two processes, over which messages
// of type T go both ways: Python's multiprocessing.Pipe. It is faster than a
// queue, because each direction has one sender and one receiver.
//
// An end belongs to one goroutine of one process at a time; one may send while
// another one receives. It goes to another process in an argument, result or
// message, as *Pipe. Then the sender's own is of no use any more: its methods,
// also those that wait, fail with an error that matches ErrClosed, unless the
// message could not be sent. It is to be closed as soon as it is sent, right after
// Start and not deferred. An end cannot be sent from within a call of SendFunc or
// RecvFunc at it. For many on a side there is [Queue]; for messages of several
// types, or with shared objects in them, the connections of package proc.
//
// When the other end is closed, or the process that has it ends in any way, Recv
// returns what was sent before, and then io.EOF, and Send fails with ErrBroken.
// So it is when an end is lost on its way to another process, once the sender has
// closed its own: until then the sender may send it anew.
//
// What was said of items in a [Queue] holds for messages: of a nil []byte, and of
// bytes that a broken process has written.
type Pipe[T any] struct {
	end     pipeEnd
	out, in slots[T] // of messages without pointers; nil for others
	send    records
	recv    records
	cleanup runtime.Cleanup
}

// NewPipe makes a pipe and returns its two ends. The caller must close both. One
// that it sends to another process is to be closed when it was sent: if that
// process is killed before it has taken its end, the other end learns it only then.
// Errors are those of [NewQueue].
func NewPipe[T any](o *PipeOptions) (a, b *Pipe[T], err error) {
	if o == nil {
		o = &PipeOptions{}
	}
	name := nameOr(o.Name, reflect.TypeFor[T]())
	defer wrap(&err, "pipe", name, "create")
	capacity := o.Capacity
	if capacity == 0 {
		capacity = defaultCapacity
	}
	e, err := ringEntry[T](kindPipe, pipeData, capacity, o.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if o.OneWay {
		e.Mode |= modeOneWay
	}
	m, err := create(name, pipeData+int(2*e.Length*e.Element), e)
	if err != nil {
		return nil, nil, err
	}
	tokens, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		_ = m.release() // the error at hand says more
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	m.retain()
	words, me := pipeWordsOf(m), uint64(roster.Me())
	for i := range words.ends { // both, before one looks at the other
		words.ends[i].state.Store(me)
	}
	a, b = new(Pipe[T]), new(Pipe[T])
	a.open(m, 0, e, 0, os.NewFile(uintptr(tokens[0]), name), me)
	b.open(m, 0, e, 1, os.NewFile(uintptr(tokens[1]), name), me)
	return a, b, nil
}

// open makes p one end of the pipe that e describes in m; see pipeEnd.open.
func (p *Pipe[T]) open(m *mapping, index int, e entry, which int, token *os.File, state uint64) {
	p.end.open(m, index, e, which, token, state)
	size := e.Length * e.Element
	data := [2][]byte{m.data[e.Offset:][:size], m.data[e.Offset+size:][:size]}
	if e.Mode&modeRecords == 0 {
		p.out, p.in = viewOf[T](data[which], int(e.Length)), viewOf[T](data[1-which], int(e.Length))
	} else {
		p.send, p.recv = records{data[which], uint32(e.Length)}, records{data[1-which], uint32(e.Length)}
	}
	barrier.Prepare()
	p.cleanup = watchForgotten(p, m)
}

// fail names the pipe in an error.
func (p *Pipe[T]) fail(op string, err error) error { return failed("pipe", p.end.name, op, err) }

// Send sends v, and waits for room if there is none. It returns the context's
// error, ErrBroken if nobody has the other end any more, ErrSize for a message
// that is too big, or one that matches ErrDirection at an end that receives
// only. After an error v was not sent.
//
// Send and Recv copy a message twice each, as all calls by value do. What is
// larger than a few KiB is better written and read in its place, by SendFunc and
// RecvFunc.
func (p *Pipe[T]) Send(ctx context.Context, v T) error {
	if p.out == nil {
		return p.sendRecord(ctx, v)
	}
	w := &p.end.send
	if w.spare == 0 || !w.enter() || !w.undisturbed() {
		if _, err := w.beginSend(ctx, 1, 1); err != nil {
			return p.fail("send", err)
		}
	}
	probe.At(probe.Put33)
	*p.out.at(w.own) = v
	w.commitSend(1, 1)
	return nil
}

// TrySend sends v if there is room; else it returns ErrFull.
func (p *Pipe[T]) TrySend(v T) error { return p.Send(atOnce, v) }

// SendAll sends the messages in order, as many at a time as there is room for,
// which is much faster than one by one. It returns how many were sent; if not
// all, with an error as Send.
func (p *Pipe[T]) SendAll(ctx context.Context, messages []T) (n int, err error) {
	if p.out == nil {
		return putEach(ctx, messages, p.sendRecord)
	}
	w := &p.end.send
	for n < len(messages) {
		wanted := uint32(min(len(messages)-n, len(p.out)))
		free, err := w.beginSend(ctx, 1, wanted)
		if err != nil {
			return n, p.fail("send", err)
		}
		k := min(wanted, free)
		probe.At(probe.Put33)
		p.out.put(w.own, messages[n:n+int(k)])
		w.commitSend(k, k)
		n += int(k)
	}
	return n, nil
}

// Recv returns the next message, and waits for one if there is none. It returns
// the context's error, io.EOF when everything was received and nobody has the
// other end any more, or one that matches ErrDirection at an end that sends
// only.
func (p *Pipe[T]) Recv(ctx context.Context) (v T, err error) {
	err = p.recvInto(ctx, &v)
	return v, err
}

// recvInto is Recv, kept apart so that Recv inlines: that saves a copy.
func (p *Pipe[T]) recvInto(ctx context.Context, v *T) (err error) {
	if p.in == nil {
		*v, err = p.recvRecord(ctx)
		return err
	}
	w := &p.end.recv
	if w.spare == 0 || !w.enter() {
		if _, err := w.beginRecv(ctx, 1); err != nil {
			return p.fail("receive", err)
		}
	}
	probe.At(probe.Get43)
	*v = *p.in.at(w.own)
	w.commitRecv(1, 1)
	return nil
}

// TryRecv returns the next message if there is one; else it returns ErrEmpty. If
// the process that had the other end has died, and a thread of it has not stopped
// yet, that takes up to 10 ms.
func (p *Pipe[T]) TryRecv() (T, error) { return p.Recv(atOnce) }

// RecvUpTo waits until there is a message, and receives as many as there are and
// fit into messages. It returns how many; none with an error as of Recv.
func (p *Pipe[T]) RecvUpTo(ctx context.Context, messages []T) (n int, err error) {
	if len(messages) == 0 {
		return 0, nil
	}
	if p.in == nil {
		return getEach(ctx, messages, p.recvData, p.decode)
	}
	w := &p.end.recv
	wanted := uint32(min(len(messages), len(p.in)))
	filled, err := w.beginRecv(ctx, wanted)
	if err != nil {
		return 0, p.fail("receive", err)
	}
	k := min(wanted, filled)
	probe.At(probe.Get43)
	p.in.get(w.own, messages[:k])
	w.commitRecv(k, k)
	return int(k), nil
}

// Poll waits until Recv would not wait, or ctx ends. To wait for several things
// at once see package proc.
func (p *Pipe[T]) Poll(ctx context.Context) error {
	w := &p.end.recv
	switch _, err := w.beginRecv(ctx, 1); {
	case err == nil:
		w.leave()
	case errors.Is(err, ctx.Err()):
		return err
	}
	return nil // a message, the end of the messages, or what else Recv tells
}

// Close closes this end. What was sent before can still be received. Calls of
// other goroutines that wait at it fail with ErrClosed; Close returns when they,
// and a function that SendFunc or RecvFunc has called, have returned. If that takes
// more than 2 s, as from within such a function, Close fails and the memory stays
// mapped. It must not be called while the end is sent, or waited for as one of
// several things.
func (p *Pipe[T]) Close() error {
	p.cleanup.Stop()
	return p.fail("close", p.end.close())
}

// String describes the end.
func (p *Pipe[T]) String() string {
	if p.end.closed() {
		return fmt.Sprintf("shm.Pipe[%v](closed)", reflect.TypeFor[T]())
	}
	return fmt.Sprintf("shm.Pipe[%v](end %d)", reflect.TypeFor[T](), p.end.which+1)
}

// Await is for waiting for several things at once, as package proc does: an end
// is ready when Recv would not wait.
func (p *Pipe[T]) Await(list *await.List) (ready bool) { return p.end.await(list) }
