package shm

import (
	"encoding/binary"
	"fmt"
)

// Records are messages of any length in a ring. A unit is 8 bytes; a record is a
// unit of header, then the message, padded to whole units:
//
//	off size field
//	  0    8 length  of the message in bytes; or only bit 63: the rest of the ring is
//	                 unused, go on at its start
//	  8      message
//
// A record does not go around the ring's end, so that a message is one slice.
// The biggest one fills half of the ring: a bigger one might not fit into an
// empty ring if it began at an unlucky place.
type records struct {
	data  []byte
	units uint32 // a power of two
}

const (
	unitSize   = 8
	recordSkip = 1 << 63 // of a header
)

// biggest returns the length of the biggest message.
func (r *records) biggest() int { return int(r.units)/2*unitSize - unitSize }

// fits returns an error if a message of n bytes never fits.
func (r *records) fits(n int) error {
	if n < 0 || n > r.biggest() {
		return fmt.Errorf("%w: a message of %d bytes; the ring has %d, and the biggest message has %d", ErrSize, n, len(r.data), r.biggest())
	}
	return nil
}

// recordUnits returns how many units a message of n bytes takes up.
func recordUnits(n int) uint32 { return 1 + uint32((n+unitSize-1)/unitSize) }

// skip returns how many units in front of a record stay unused.
func (r *records) skip(at position, units uint32) uint32 {
	if i := at.units() & (r.units - 1); i+units > r.units {
		return r.units - i
	}
	return 0
}

func (r *records) offset(at position) int { return int(at.units()&(r.units-1)) * unitSize }

// span returns how many units a message of n bytes takes up behind tail.
func (r *records) span(tail position, n int) uint32 {
	units := recordUnits(n)
	return units + r.skip(tail, units)
}

// place writes the headers of a message of n bytes behind tail, and returns the
// message, to be filled in.
func (r *records) place(tail position, n int) []byte {
	at := r.offset(tail)
	if r.skip(tail, recordUnits(n)) > 0 {
		binary.NativeEndian.PutUint64(r.data[at:], recordSkip)
		at = 0
	}
	binary.NativeEndian.PutUint64(r.data[at:], uint64(n))
	return r.data[at+unitSize:][:n:n]
}

// find returns the first message of those that begin at head, and how many units
// it takes up. The length is read once and checked: a peer may change it at any
// time.
func (r *records) find(head position, filled uint32) (message []byte, units uint32, err error) {
	at, skip := r.offset(head), uint32(0)
	header := binary.NativeEndian.Uint64(r.data[at:])
	if header == recordSkip {
		skip = r.units - uint32(at/unitSize)
		if skip >= filled {
			return nil, 0, fmt.Errorf("%w: nothing follows the end of the ring at %#x", ErrCorrupt, uint64(head))
		}
		at = 0
		header = binary.NativeEndian.Uint64(r.data)
	}
	if header > uint64(r.biggest()) {
		return nil, 0, fmt.Errorf("%w: a header of %#x at %#x", ErrCorrupt, header, uint64(head))
	}
	n := int(header)
	units = skip + recordUnits(n)
	if units > filled || at+unitSize+n > len(r.data) {
		return nil, 0, fmt.Errorf("%w: a message of %d bytes at %#x, where %d units are filled", ErrCorrupt, n, uint64(head), filled)
	}
	return r.data[at+unitSize:][:n:n], units, nil
}
