package roster

import "fmt"

// An ID names one process that takes part: bits 29..14 are the generation of
// its slot, bits 13..0 its slot number plus one. Zero is nobody. It fits beside
// two flag bits into half of a lock word.
type ID uint32

// The bits of an ID.
const (
	slotBits = 14
	slotMask = 1<<slotBits - 1
	genMask  = 0xffff

	// Mask covers an ID within a lock word.
	Mask = 1<<30 - 1
)

func makeID(index int, generation uint32) ID {
	return ID(generation&genMask)<<slotBits | ID(index+1)
}

func (id ID) index() int         { return int(id&slotMask) - 1 }
func (id ID) generation() uint32 { return uint32(id) >> slotBits }

// String shows slot and generation, as tools print them.
func (id ID) String() string {
	return fmt.Sprintf("slot %d generation %d", id.index(), id.generation())
}
