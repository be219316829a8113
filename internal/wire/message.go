package wire

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/petermattis/goid"
	"golang.org/x/sys/unix"
)

// Errors that callers are expected to tell apart with errors.Is.
var (
	// ErrNoMessage means that a shared object was encoded or decoded by
	// something else than Encode and Decode, or in another goroutine.
	ErrNoMessage = errors.New("shared objects travel only in arguments and results, and over connections")

	// ErrDepth means that a value is cyclic or nested too deeply to travel.
	ErrDepth = errors.New("value is cyclic or nested deeper than 1000 levels")

	// ErrFormat means that received bytes are not a message, or not one that
	// holds a value of the expected type.
	ErrFormat = errors.New("malformed message")
)

// A Traveller is a type that, as a pointer, stands for an object in shared
// memory. It implements cbor.Marshaler and cbor.Unmarshaler, which call AddFile
// and File. [Check] accepts *T that is a Traveller, and refuses T by value.
type Traveller interface{ Travels() }

// A Message is an encoded value and the descriptors that it refers to.
type Message struct {
	Data  []byte
	Files []*os.File // owned by the message

	// Limit, in a message that was received, is the most that a connection in it
	// may receive at a time, in bytes; 0 means whatever the sender allows it.
	Limit int

	form uint64      // says of what type the value is, see form.sum
	undo undos       // written by who encodes it and who closes it
	sent atomic.Bool // then there is nothing to undo
}

// maxFiles is the most descriptors of one message. It bounds what a peer can make
// this process hold.
const maxFiles = 1024

var errFiles = fmt.Errorf("a message can have %d descriptors, one for each shared object, and no more", maxFiles)

// Close closes the descriptors. Of a message that was encoded and not sent it
// takes back what encoding has done. It may be called more than once, also on
// nil.
func (m *Message) Close() {
	if m == nil {
		return
	}
	if !m.sent.Load() {
		m.undo.run()
	}
	for _, f := range m.Files {
		f.Close() // nothing was written through it: an error means nothing
	}
	m.Files = nil
}

// Holds returns an error if the sender of m, a message that came as a frame,
// encoded another type than t. It is for peers that may be another program. Of
// two types that travel as CBOR only decoding can tell.
func (m *Message) Holds(t reflect.Type) error {
	if m.form != formOf(t).sum {
		return fmt.Errorf("%w: it holds no %v, but a value of another type", ErrFormat, t)
	}
	return nil
}

// Form returns what a frame with a value of type t says of it: of types that do
// not describe themselves it tells those apart whose bytes mean something else. For
// those that travel as CBOR it is 0.
func Form(t reflect.Type) uint64 { return formOf(t).sum }

// undos are what to call, the last one first, if a message comes to nothing.
type undos []func()

func (u *undos) run() {
	for n := len(*u); n > 0; n = len(*u) {
		undo := (*u)[n-1]
		*u = (*u)[:n-1]
		undo()
	}
}

// An envelope is the message that one goroutine is encoding or decoding.
type envelope struct {
	message *Message
	sending bool
	index   map[any]int // by the key of AddFile
	undo    *undos
}

// envelopes holds the current envelope of each goroutine, by its number. cbor
// calls MarshalCBOR and UnmarshalCBOR without a context and in the goroutine
// that called it: this is the only way to hand them the message.
var envelopes sync.Map

// open makes e the current envelope of this goroutine until done is called.
func (e *envelope) open() (done func()) {
	id := goid.Get()
	before, nested := envelopes.Swap(id, e)
	return func() {
		if nested {
			envelopes.Store(id, before)
		} else {
			envelopes.Delete(id)
		}
	}
}

// current returns the envelope of this goroutine, or nil.
func current(sending bool) *envelope {
	e, _ := envelopes.Load(goid.Get())
	if e, ok := e.(*envelope); ok && e.sending == sending {
		return e
	}
	return nil
}

// AddFile adds a duplicate of f to the message that this goroutine is encoding
// and returns its index there, for File on the other side. The same key, which
// must be comparable, gives the same index: an object that occurs twice costs
// one descriptor.
//
// Outside of Encode it fails with ErrNoMessage.
func AddFile(key any, f *os.File) (index int, err error) {
	e := current(true)
	if e == nil {
		return 0, ErrNoMessage
	}
	if i, ok := e.index[key]; ok {
		return i, nil
	}
	if len(e.message.Files) == maxFiles {
		return 0, errFiles
	}
	dup, err := duplicate(f, f.Name())
	if err != nil {
		return 0, fmt.Errorf("duplicate %s for a message: %w", f.Name(), err)
	}
	if e.index == nil {
		e.index = make(map[any]int)
	}
	e.index[key] = len(e.message.Files)
	e.message.Files = append(e.message.Files, dup)
	return e.index[key], nil
}

// Added reports whether the message that this goroutine is encoding has a
// descriptor under this key.
func Added(key any) bool {
	e := current(true)
	if e == nil {
		return false
	}
	_, ok := e.index[key]
	return ok
}

// Undo has fn called if the message that this goroutine is encoding is not sent,
// or if the one that it is decoding turns out to be bad further on: once, in any
// goroutine, after those that were given later. So an object takes back that it
// is on its way, or gives up what it has opened.
func Undo(fn func()) {
	if e, ok := envelopes.Load(goid.Get()); ok {
		u := e.(*envelope).undo
		*u = append(*u, fn)
	}
}

// Limit returns Message.Limit of the message that this goroutine is decoding.
func Limit() int {
	if e := current(false); e != nil {
		return e.message.Limit
	}
	return 0
}

// File returns the descriptor with this index of the message that this
// goroutine is decoding. It belongs to the message and is closed with it: the
// caller maps or duplicates it.
//
// Outside of Decode it fails with ErrNoMessage, and for an index that the
// message does not have with ErrFormat.
func File(index int) (*os.File, error) {
	e := current(false)
	if e == nil {
		return nil, ErrNoMessage
	}
	if index < 0 || index >= len(e.message.Files) {
		return nil, fmt.Errorf("%w: descriptor %d of %d", ErrFormat, index, len(e.message.Files))
	}
	return e.message.Files[index], nil
}

// TakeFile returns a duplicate of a descriptor of the message that this
// goroutine is decoding, see File. It is the caller's.
func TakeFile(index int, name string) (*os.File, error) {
	f, err := File(index)
	if err != nil {
		return nil, err
	}
	return duplicate(f, name)
}

// duplicate returns a close-on-exec duplicate of f.
func duplicate(f *os.File, name string) (*os.File, error) {
	fd, err := duplicateFD(f)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func duplicateFD(f *os.File) (fd int, err error) {
	err = control(f, func(own uintptr) (err error) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// control calls fn with the descriptor of f, which cannot be closed meanwhile.
// File.Fd is no substitute: it may switch the file to blocking mode, also for
// everybody who shares it.
func control(f *os.File, fn func(fd uintptr) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if c.Control(func(fd uintptr) { failed = fn(fd) }) != nil {
		return os.ErrClosed // the only reason there is; the error itself does not match it
	}
	return failed
}
