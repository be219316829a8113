package shm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"reflect"
)

// Every segment starts with a header of one page: 64 bytes about the segment,
// then a directory of up to 63 objects, 64 bytes each. Data begins at 4096.
// Multi-byte fields are in the processor's order: a segment never leaves its
// machine.
//
// The header is written and read as a file, not through the mapping: what was
// checked is a private copy, and cannot change between check and use. Nothing
// in it changes once it is written, in one piece, before anybody else has the
// segment.
const (
	magic      = "MPSEGMNT"
	version    = 2
	headerSize = 4096
	fixedSize  = 64
	entrySize  = 64
	maxEntries = headerSize/entrySize - 1
)

// A header is the fixed part.
//
//	off size field
//	  0    8 magic    "MPSEGMNT"
//	  8    4 version  2
//	 12    4 objects  entries of the directory in use
//	 16    8 size     of the whole segment, in bytes
//	 24   16 id       random
//	 40   16 roster   id of the roster that judges the locks in here
//	 56    8 -        zero
type header struct {
	Magic   [8]byte
	Version uint32
	Objects uint32
	Size    uint64
	ID      [16]byte
	Roster  [16]byte
	_       [8]byte
}

// An entry describes one object.
//
//	off size field
//	  0    4 kind         1 array, 2 value, 3 queue, 4 pipe
//	  4    4 code         numeric type code of the elements, 0 = another type
//	  8    8 offset       of the first element
//	 16    8 length       in elements; of a value 1; of a ring its units
//	 24    8 element      size of an element or unit in bytes
//	 32    8 fingerprint  of the element's layout
//	 40    4 lock         0 none, 1 recursive lock at lockOffset, 2 a lock elsewhere
//	 44    4 mode         of a ring: 1 records, 2 tasks are counted, 4 one way only
//	 48    8 lockOffset
//	 56    8 limit        of a ring: most items at a time
type entry struct {
	Kind        uint32
	Code        uint32
	Offset      uint64
	Length      uint64
	Element     uint64
	Fingerprint uint64
	Lock        uint32
	Mode        uint32
	LockOffset  uint64
	Limit       uint64
}

// Kinds of objects.
const (
	kindArray = 1 + iota
	kindValue
	kindQueue
	kindPipe
)

// kindNames are the kinds in words.
var kindNames = map[uint32]string{kindArray: "array", kindValue: "value", kindQueue: "queue", kindPipe: "pipe"}

// errKind says that another object arrived than one of a kind with elements, or
// items, of type t.
func (e *entry) errKind(kind uint32, t reflect.Type) error {
	found := kindNames[e.Kind]
	if e.Kind == kind {
		found = fmt.Sprintf("%s of other elements, of %d bytes", found, e.Element)
	}
	return fmt.Errorf("%w: expected %s of %v, found %s", ErrLayout, kindNames[kind], t, found)
}

// Modes of rings.
const (
	modeRecords = 1 << iota
	modeCounted
	modeOneWay
)

// Kinds of locks that an object can have.
const (
	lockNone = iota
	lockOwn
	lockElsewhere
)

// ownLockSize is the room in front of the data of an object with a lock of its
// own: a cache line, so that spinning on the lock does not slow the data.
const ownLockSize = 64

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, v); err != nil {
		panic("shm: encode header: " + err.Error()) // fixed-size fields into memory
	}
	return b.Bytes()
}

func readAt(r io.ReaderAt, offset int64, v any) error {
	err := binary.Read(io.NewSectionReader(r, offset, int64(binary.Size(v))), binary.NativeEndian, v)
	if err != nil {
		return fmt.Errorf("%w: read header: %w", ErrLayout, err)
	}
	return nil
}

// readHeader reads and checks the header of a segment whose file has size
// bytes.
func readHeader(r io.ReaderAt, size int64) (header, error) {
	if size < headerSize {
		return header{}, fmt.Errorf("%w: %d bytes are too few for a header of %d", ErrLayout, size, headerSize)
	}
	if size > math.MaxInt {
		return header{}, fmt.Errorf("%w: %d bytes cannot be mapped", ErrLayout, size)
	}
	var h header
	if err := readAt(r, 0, &h); err != nil {
		return header{}, err
	}
	switch {
	case string(h.Magic[:]) != magic:
		return header{}, fmt.Errorf("%w: it starts with %q instead of %q", ErrLayout, h.Magic, magic)
	case h.Version != version:
		return header{}, fmt.Errorf("%w: its version is %d, this program knows %d", ErrLayout, h.Version, version)
	case h.Size != uint64(size):
		return header{}, fmt.Errorf("%w: it claims %d bytes, the file has %d", ErrLayout, h.Size, size)
	case h.Objects > maxEntries:
		return header{}, fmt.Errorf("%w: it claims %d objects, a directory has room for %d", ErrLayout, h.Objects, maxEntries)
	}
	return h, nil
}

// readEntry reads and checks the description of one object of a segment of
// size bytes: whatever it says lies inside the segment.
func readEntry(r io.ReaderAt, size int64, index int) (entry, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return entry{}, err
	}
	if index < 0 || index >= int(h.Objects) {
		return entry{}, fmt.Errorf("%w: object %d of %d", ErrLayout, index, h.Objects)
	}
	var e entry
	if err := readAt(r, fixedSize+int64(index)*entrySize, &e); err != nil {
		return entry{}, err
	}
	if e.Kind == kindQueue || e.Kind == kindPipe {
		return e, checkRing(e, size)
	}
	room := uint64(size)
	switch {
	case e.Kind != kindArray && e.Kind != kindValue, e.Kind == kindValue && e.Length != 1:
		return entry{}, fmt.Errorf("%w: an object of kind %d and length %d", ErrLayout, e.Kind, e.Length)
	case e.Element == 0, e.Offset < headerSize, e.Offset > room, e.Offset%ownLockSize != 0, e.Length > (room-e.Offset)/e.Element:
		return entry{}, fmt.Errorf("%w: %d elements of %d bytes at offset %d in a segment of %d", ErrLayout, e.Length, e.Element, e.Offset, size)
	case e.Lock > lockElsewhere:
		return entry{}, fmt.Errorf("%w: a lock of kind %d", ErrLayout, e.Lock)
	case e.Lock == lockOwn && (e.LockOffset < headerSize || e.LockOffset%ownLockSize != 0 || e.LockOffset+ownLockSize != e.Offset):
		return entry{}, fmt.Errorf("%w: a lock at offset %d of data at %d", ErrLayout, e.LockOffset, e.Offset)
	}
	return e, nil
}
