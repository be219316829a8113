package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A Kind says what a record is.
type Kind uint32

// The kinds of records. An argument is a Value or Elsewhere.
const (
	Value            Kind = iota // an encoded value
	Elsewhere                    // it is too large for the area, or holds descriptors: it goes through the control socket
	Failure                      // the function has failed: an encoded description
	FailureElsewhere             // a description that is too large for the area
)

// Sent reports whether what the record stands for goes through the control
// socket.
func (k Kind) Sent() bool { return k == Elsewhere || k == FailureElsewhere }

// Failed reports whether it is a description of a failure.
func (k Kind) Failed() bool { return k >= Failure }

// recordHead is the size of a record's head: the kind, and the length of the
// data, which follows and is filled up to a multiple of 8.
const recordHead = 8

// ErrCorrupt means that a worker has written where only sense should be.
var ErrCorrupt = errors.New("a pool's shared memory is corrupt")

// RecordSize returns how many bytes a record takes.
func RecordSize(length int) int { return recordHead + (length+7)&^7 }

// Append adds a record to b.
func Append(b []byte, kind Kind, data []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data))<<32|uint64(kind))
	b = append(b, data...)
	if odd := len(data) & 7; odd != 0 {
		b = append(b, make([]byte, 8-odd)...)
	}
	return b
}

// Next returns the first record of b, and what follows it. The data is part
// of b. Lengths are not believed.
func Next(b []byte) (kind Kind, data, rest []byte, err error) {
	if len(b) < recordHead {
		return 0, nil, nil, fmt.Errorf("%w: %d bytes are left for a record", ErrCorrupt, len(b))
	}
	head := binary.LittleEndian.Uint64(b)
	kind = Kind(head)
	n := int(head >> 32)
	b = b[recordHead:]
	if kind > FailureElsewhere || n > len(b) {
		return 0, nil, nil, fmt.Errorf("%w: a record of kind %d and %d bytes, with %d left", ErrCorrupt, kind, n, len(b))
	}
	return kind, b[:n:n], b[min((n+7)&^7, len(b)):], nil
}

// Values returns how many of the first n records of b are Values that one of
// another kind does not precede, and how many bytes they take. It is Next for
// many.
func Values(b []byte, n int) (records, size int) {
	for ; records < n && len(b)-size >= recordHead; records++ {
		head := binary.LittleEndian.Uint64(b[size:])
		length := int(head >> 32)
		if Kind(head) != Value || length > len(b)-size-recordHead {
			break
		}
		size = min(size+RecordSize(length), len(b))
	}
	return records, size
}

// Fits reports whether a record of so many bytes of data finds room behind used
// bytes, when each of the items after it may need the head of one.
func Fits(used, length, after int) bool {
	return used+RecordSize(length)+after*recordHead <= Room
}
