package shm

// Slots are items without pointers in a ring, where a unit is an item: their
// number is a power of two.
type slots[T any] []T

// at returns the slot of a position.
func (s slots[T]) at(p position) *T { return &s[p.units()&uint32(len(s)-1)] }

// put copies items into the slots from a position on.
func (s slots[T]) put(p position, items []T) {
	first := copy(s[p.units()&uint32(len(s)-1):], items)
	copy(s, items[first:])
}

// get copies items out of the slots from a position on.
func (s slots[T]) get(p position, items []T) {
	first := copy(items, s[p.units()&uint32(len(s)-1):])
	copy(items[first:], s)
}
