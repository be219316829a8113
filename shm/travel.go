package shm

import (
	"fmt"
	"os"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/go-multiproc/multiproc/internal/plain"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A ticket is what travels in place of an object: where to find it and its lock
// in the segments whose descriptors travel beside it.
type ticket struct {
	_      struct{} `cbor:",toarray"`
	File   int      // index of the segment's descriptor in the message
	Object int      // index in the segment's directory

	// A lock elsewhere.
	LockFile   int
	LockOffset int
	Recursive  bool
}

// Travels marks arrays and values as objects that may stand in arguments and
// results.
func (*object[T]) Travels() {}

// MarshalCBOR is for the module's own messages: it sends the object's segment
// along. Anywhere else it fails.
func (o *object[T]) MarshalCBOR() ([]byte, error) {
	m := o.mapping
	if m == nil {
		return nil, o.fail("hand over", errClosed)
	}
	t := ticket{Object: o.index}
	var err error
	if t.File, err = wire.AddFile(m, m.file); err != nil {
		return nil, o.fail("hand over", err)
	}
	if in := o.lockIn; in != nil {
		if t.LockFile, err = wire.AddFile(in, in.file); err != nil {
			return nil, o.fail("hand over the lock", err)
		}
		t.LockOffset, _ = in.offsetIn(o.lock)
		_, t.Recursive = o.lock.(*psync.RMutex)
	}
	return cbor.Marshal(t)
}

// UnmarshalCBOR is for the module's own messages: it attaches the array whose
// segment came along. Anywhere else it fails.
func (a *Array[T]) UnmarshalCBOR(data []byte) error { return a.receive(kindArray, data) }

// UnmarshalCBOR is for the module's own messages: it attaches the value whose
// segment came along. Anywhere else it fails.
func (v *Value[T]) UnmarshalCBOR(data []byte) error { return v.receive(kindValue, data) }

func (o *object[T]) receive(kind uint32, data []byte) (err error) {
	o.kind = kindNames[kind]
	defer func() { err = o.fail("attach", err) }()
	var t ticket
	m, e, err := t.open(data)
	if err != nil {
		return err
	}
	o.name = m.file.Name()
	defer func() {
		if err != nil {
			_ = m.release() // the error at hand says more
		}
	}()
	element, err := elementSize[T]()
	if err != nil {
		return err
	}
	typ := reflect.TypeFor[T]()
	if e.Kind != kind || e.Element != uint64(element) || e.Fingerprint != plain.Fingerprint(typ) {
		return e.errKind(kind, typ)
	}
	if e.Lock == lockElsewhere {
		if err := o.openLock(t); err != nil {
			return err
		}
	}
	o.open(m, t.Object, e)
	wire.Undo(func() { _ = o.Close() }) // the error at hand says more, here and below
	return nil
}

// A segmentTicket is what travels in place of a segment.
type segmentTicket struct {
	_    struct{} `cbor:",toarray"`
	File int      // index of its descriptor in the message
	Name string
}

// Travels marks segments as objects that may stand in arguments, results and
// messages.
func (*Segment) Travels() {}

// MarshalCBOR is for the module's own messages: it sends the segment along.
// Anywhere else it fails.
func (s *Segment) MarshalCBOR() (_ []byte, err error) {
	defer wrap(&err, "segment", s.name, "hand over")
	m := s.mapping.Load()
	if m == nil {
		return nil, errClosed
	}
	file, err := wire.AddFile(m, m.file)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(segmentTicket{File: file, Name: s.name})
}

// UnmarshalCBOR is for the module's own messages: it attaches the segment that
// came along. Anywhere else it fails.
func (s *Segment) UnmarshalCBOR(data []byte) (err error) {
	defer wrap(&err, "segment", "", "attach")
	var t segmentTicket
	if err := cbor.Unmarshal(data, &t); err != nil {
		return err
	}
	if _, err := roster.Join(); err != nil {
		return err
	}
	m, err := mapTicket(t.File)
	if err != nil {
		return err
	}
	s.name, s.size = t.Name, int(m.size)-headerSize
	s.mapping.Store(m)
	wire.Undo(func() { _ = s.Close() })
	return nil
}

// Travels marks queues as objects that may stand in arguments, results and
// messages.
func (*Queue[T]) Travels() {}

// MarshalCBOR is for the module's own messages: it sends the queue's segment
// along. Anywhere else it fails.
func (q *Queue[T]) MarshalCBOR() ([]byte, error) {
	m := q.ring.mapping
	if m == nil {
		return nil, q.fail("hand over", errDetached)
	}
	file, err := wire.AddFile(m, m.file)
	if err != nil {
		return nil, q.fail("hand over", err)
	}
	return cbor.Marshal(ticket{File: file, Object: q.ring.index})
}

// UnmarshalCBOR is for the module's own messages: it attaches the queue whose
// segment came along. Anywhere else it fails.
func (q *Queue[T]) UnmarshalCBOR(data []byte) (err error) {
	defer func() { err = q.fail("attach", err) }()
	var t ticket
	m, e, err := t.open(data)
	if err != nil {
		return err
	}
	if err = matches[T](e, kindQueue); err == nil {
		err = q.open(m, t.Object, e)
	}
	if err != nil {
		_ = m.release() // the error at hand says more
		return err
	}
	wire.Undo(func() { _ = q.Detach() })
	return nil
}

// A pipeTicket is what travels in place of an end of a pipe.
type pipeTicket struct {
	_      struct{} `cbor:",toarray"`
	Ticket cbor.RawMessage
	Token  int // index of the end's socket in the message
	End    int // 0 or 1
}

// Travels marks pipes as objects that may stand in arguments, results and
// messages.
func (*Pipe[T]) Travels() {}

// MarshalCBOR is for the module's own messages: it sends this end along. Anywhere
// else it fails.
func (p *Pipe[T]) MarshalCBOR() ([]byte, error) {
	e := &p.end
	if e.closed() {
		return nil, p.fail("hand over", errClosed)
	}
	if wire.Added(e.token) {
		return nil, p.fail("hand over", fmt.Errorf("%w: it stands twice in one message", errSent))
	}
	file, err := wire.AddFile(e.mapping, e.mapping.file)
	if err != nil {
		return nil, p.fail("hand over", err)
	}
	token, err := wire.AddFile(e.token, e.token)
	if err != nil {
		return nil, p.fail("hand over", err)
	}
	t, err := cbor.Marshal(ticket{File: file, Object: e.index})
	if err != nil {
		return nil, err
	}
	if err := e.handOver(); err != nil {
		return nil, p.fail("hand over", err)
	}
	return cbor.Marshal(pipeTicket{Ticket: t, Token: token, End: e.which})
}

// UnmarshalCBOR is for the module's own messages: it makes p the end that came
// along. Anywhere else it fails.
func (p *Pipe[T]) UnmarshalCBOR(data []byte) (err error) {
	defer func() { err = p.fail("attach", err) }()
	var pt pipeTicket
	if err := cbor.Unmarshal(data, &pt); err != nil {
		return err
	}
	if pt.End != 0 && pt.End != 1 {
		return fmt.Errorf("%w: end %d of a pipe", ErrLayout, pt.End)
	}
	var t ticket
	m, e, err := t.open(pt.Ticket)
	if err != nil {
		return err
	}
	var token *os.File
	if err = matches[T](e, kindPipe); err == nil {
		token, err = wire.TakeFile(pt.Token, m.file.Name())
	}
	var state uint64
	if err == nil {
		if state, err = claimEnd(pipeWordsOf(m), pt.End); err != nil {
			_ = token.Close() // the error at hand says more
		}
	}
	if err != nil {
		_ = m.release() // the error at hand says more
		return err
	}
	p.open(m, t.Object, e, pt.End, token, state)
	wire.Undo(func() { _ = p.Close() })
	return nil
}

// open reads the ticket and attaches the segment of its object.
func (t *ticket) open(data []byte) (*mapping, entry, error) {
	if err := cbor.Unmarshal(data, t); err != nil {
		return nil, entry{}, err
	}
	if _, err := roster.Join(); err != nil {
		return nil, entry{}, err
	}
	m, err := mapTicket(t.File)
	if err != nil {
		return nil, entry{}, err
	}
	e, err := readEntry(m.file, m.size, t.Object)
	if err != nil {
		_ = m.release() // the error at hand says more
		return nil, entry{}, err
	}
	return m, e, nil
}

// openLock attaches a lock that lies in a segment of its own.
func (o *object[T]) openLock(t ticket) error {
	m, err := mapTicket(t.LockFile)
	if err != nil {
		return err
	}
	var lock psync.Locker
	if t.Recursive {
		lock, err = lockAt[psync.RMutex](m, t.LockOffset)
	} else {
		lock, err = lockAt[psync.Mutex](m, t.LockOffset)
	}
	if err != nil {
		_ = m.release() // the error at hand says more
		return err
	}
	o.lock, o.lockIn = lock, m
	return nil
}

func lockAt[L any](m *mapping, offset int) (*L, error) {
	size := int(reflect.TypeFor[L]().Size())
	if offset < headerSize || offset%8 != 0 || offset > int(m.size)-size {
		return nil, fmt.Errorf("%w: a lock at offset %d in a segment of %d bytes", ErrLayout, offset, m.size)
	}
	return &viewOf[L](m.data[offset:], 1)[0], nil
}

func mapTicket(index int) (*mapping, error) {
	f, err := wire.File(index)
	if err != nil {
		return nil, err
	}
	return mapFile(f, false)
}
