package shm

import "fmt"

// A position says how much has ever gone past one end of a ring: the upper half
// counts items, the lower half units of memory, each modulo 2^32. So one store
// commits both.
//
// The difference of two positions of a ring is exact, because no more than 2^31
// units, and no more items than units, lie between its ends.
type position uint64

func (p position) items() uint32 { return uint32(p >> 32) }
func (p position) units() uint32 { return uint32(p) }

// plus returns p after some more items and units. The halves do not carry.
func (p position) plus(items, units uint32) position {
	return position(p.items()+items)<<32 | position(p.units()+units)
}

// since returns how many items have gone past after the earlier position.
func (p position) since(earlier position) int { return int(p.items() - earlier.items()) }

// errPositions is the error of ends of a ring that contradict each other.
func errPositions(head, tail position) error {
	return fmt.Errorf("%w: head %#x, tail %#x", ErrCorrupt, uint64(head), uint64(tail))
}
