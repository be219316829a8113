package proc

import (
	"math/bits"

	"github.com/go-multiproc/multiproc/internal/chunk"
)

// A slotSet is a set of slots.
type slotSet [chunk.Slots / 64]uint64

func (s *slotSet) add(n int)    { s[n/64] |= 1 << (n % 64) }
func (s *slotSet) remove(n int) { s[n/64] &^= 1 << (n % 64) }

// all calls yield for each slot of the set. Those that yield removes, or adds,
// make no difference to it.
func (s *slotSet) all(yield func(int) bool) {
	for i, set := range *s { // a copy
		for ; set != 0; set &= set - 1 {
			if !yield(64*i + bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}
