package shm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/memfd"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Segment is a piece of memory that processes share: a page of header, then
// data, all zero at first. Arrays and values make their own; a program that
// lays out memory itself uses [Create] and [Place].
//
// A segment travels to other processes in arguments, results and messages, as
// *Segment, or by its File.
//
// Its size is fixed for ever, so no peer can make an access to it fault by making
// it smaller. Where memory is short, the first access to a page can: the kernel
// ends the process with SIGBUS if it may not give it one.
type Segment struct {
	mapping atomic.Pointer[mapping] // nil after Close
	name    string
	size    int
}

// Create makes a segment with room for size bytes of data. The name is for
// people: it shows in /proc/PID/maps, need not be unique, and may have up to
// 249 bytes.
//
// The caller must Close it. The memory is freed when no process has it any
// more. Errors are of type [*Error].
func Create(name string, size int) (_ *Segment, err error) {
	defer wrap(&err, "segment", name, "create")
	m, err := create(name, size)
	if err != nil {
		return nil, err
	}
	return newSegment(m, name), nil
}

// Attach opens the segment in f, which another process made and handed over.
// The caller keeps f; it must Close the segment.
//
// A file that is no segment, is damaged, or could still change its size, is
// refused with ErrLayout, and one whose locks belong to another roster of
// processes with ErrRoster. Errors are of type [*Error].
func Attach(f *os.File) (_ *Segment, err error) {
	defer wrap(&err, "segment", f.Name(), "attach")
	if _, err := roster.Join(); err != nil {
		return nil, err
	}
	m, err := mapFile(f, false)
	if err != nil {
		return nil, err
	}
	return newSegment(m, m.file.Name()), nil
}

func newSegment(m *mapping, name string) *Segment {
	s := &Segment{name: name, size: int(m.size) - headerSize}
	s.mapping.Store(m)
	return s
}

// create makes a segment with the given objects in its directory.
func create(name string, size int, objects ...entry) (*mapping, error) {
	if _, err := roster.Join(); err != nil {
		return nil, err
	}
	if size < 0 || size > math.MaxInt-headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, size)
	}
	total := int64(headerSize + size)
	f, err := memfd.New(name, total)
	if err != nil {
		return nil, err
	}
	if err := memfd.Seal(f, unix.F_SEAL_SEAL); err != nil { // a peer must not seal it against writing
		return nil, errors.Join(fmt.Errorf("seal the seals: %w", err), f.Close())
	}
	h := header{Version: version, Objects: uint32(len(objects)), Size: uint64(total), Roster: roster.TableID()}
	copy(h.Magic[:], magic)
	_, _ = rand.Read(h.ID[:]) // never fails: it ends the program instead
	bytes := encode(&h)
	for i := range objects {
		bytes = append(bytes, encode(&objects[i])...)
	}
	if _, err := f.WriteAt(bytes, 0); err != nil {
		_ = f.Close() // the error at hand says more
		return nil, fmt.Errorf("write header: %w", err)
	}
	return mapFile(f, true)
}

// Name returns the name that the segment was created with.
func (s *Segment) Name() string { return s.name }

// Size returns the number of bytes of data.
func (s *Segment) Size() int { return s.size }

// File returns the segment's descriptor, to be handed to another process. It
// belongs to the segment and is closed with it. After Close it is nil.
func (s *Segment) File() *os.File {
	if m := s.mapping.Load(); m != nil {
		return m.file
	}
	return nil
}

// Close gives the segment up. Pointers and views into it must not be used any
// more: if this was the process's last use of the segment, they fault. Closing
// twice is ErrClosed. Close must not run beside Place.
func (s *Segment) Close() (err error) {
	defer wrap(&err, "segment", s.name, "close")
	m := s.mapping.Swap(nil)
	if m == nil {
		return errClosed
	}
	return m.release()
}
