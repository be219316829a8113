package shm

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/bits"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/plain"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// leastBytes is the default room for items without a fixed size.
const (
	leastBytes = 1 << 20
	itemBytes  = 256
)

// ringEntry describes a ring for items of type T: a unit is an item, or, for
// items without a fixed size, 8 bytes.
func ringEntry[T any](kind uint32, data, capacity, room int) (entry, error) {
	t := reflect.TypeFor[T]()
	if capacity < 1 || capacity > maxUnits {
		return entry{}, fmt.Errorf("%w: a capacity of %d items", ErrSize, capacity)
	}
	e := entry{Kind: kind, Code: uint32(codeOf(t)), Offset: uint64(headerSize + data), Limit: uint64(capacity)}
	if liesInSlots(t) {
		e.Element = uint64(t.Size())
		e.Length = roundUp(uint64(capacity))
		e.Fingerprint = plain.Fingerprint(t)
	} else {
		switch err := wire.Check(t); {
		case err != nil:
			return entry{}, fmt.Errorf("%w: %w", ErrType, err)
		case wire.HoldsFiles(t):
			return entry{}, fmt.Errorf("%w: %v holds shared objects, which travel over connections only", ErrType, t)
		case room < 0 || room > maxUnits*unitSize:
			return entry{}, fmt.Errorf("%w: room of %d bytes", ErrSize, room)
		case room == 0:
			room = max(leastBytes, min(capacity, maxUnits/itemBytes)*itemBytes)
		}
		e.Mode |= modeRecords
		e.Element = unitSize
		e.Length = roundUp((uint64(max(room, 8*unitSize)) + unitSize - 1) / unitSize)
		e.Fingerprint = recordFingerprint(t)
	}
	if over, size := bits.Mul64(e.Length, e.Element); over != 0 || size > math.MaxInt/4 {
		return entry{}, fmt.Errorf("%w: %d items of %d bytes", ErrSize, capacity, e.Element)
	}
	return e, nil
}

// liesInSlots reports whether items of type t lie in a ring as their bytes.
func liesInSlots(t reflect.Type) bool {
	return plain.Check(t) == nil && plain.Primitive(t) == "" && t.Size() > 0 && !wire.HoldsFiles(t)
}

// roundUp returns the smallest power of two that is not less than n > 0.
func roundUp(n uint64) uint64 { return 1 << bits.Len64(n-1) }

// recordFingerprint tells types apart that are not mere bytes. Two programs may
// have types of one name, whose bytes differ.
func recordFingerprint(t reflect.Type) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(binary.LittleEndian.AppendUint64([]byte(t.String()), wire.Form(t))) // never fails
	return h.Sum64()
}

// matches checks that a ring that arrived has items of type T.
func matches[T any](e entry, kind uint32) error {
	t := reflect.TypeFor[T]()
	size, mode, print := uint64(unitSize), uint32(modeRecords), recordFingerprint(t)
	if liesInSlots(t) {
		size, mode, print = uint64(t.Size()), 0, plain.Fingerprint(t)
	}
	if e.Kind != kind || e.Mode&modeRecords != mode || e.Element != size || e.Fingerprint != print {
		return e.errKind(kind, t)
	}
	return nil
}

// checkRing checks the description of a queue or pipe in a segment of size
// bytes.
func checkRing(e entry, size int64) error {
	data, rings, modes := uint64(ringData), uint64(1), uint32(modeRecords|modeCounted)
	if e.Kind == kindPipe {
		data, rings, modes = pipeData, 2, modeRecords|modeOneWay
	}
	over, bytes := bits.Mul64(e.Length, e.Element)
	switch {
	case e.Length == 0 || e.Length&(e.Length-1) != 0 || e.Length > maxUnits || e.Limit == 0 || e.Limit > maxUnits:
		return fmt.Errorf("%w: a ring of %d units for %d items", ErrLayout, e.Length, e.Limit)
	case e.Mode&^modes != 0 || e.Lock != lockNone || e.LockOffset != 0:
		return fmt.Errorf("%w: a ring of mode %d with a lock of kind %d at %d", ErrLayout, e.Mode, e.Lock, e.LockOffset)
	case e.Mode&modeRecords != 0 && (e.Element != unitSize || e.Length < 8), e.Mode&modeRecords == 0 && e.Limit > e.Length:
		return fmt.Errorf("%w: a ring of %d units of %d bytes for %d items", ErrLayout, e.Length, e.Element, e.Limit)
	case e.Offset != headerSize+data || over != 0 || bytes == 0 || bytes > math.MaxInt/4 || e.Offset+rings*bytes > uint64(size):
		return fmt.Errorf("%w: %d rings of %d bytes at offset %d in a segment of %d", ErrLayout, rings, bytes, e.Offset, size)
	}
	return nil
}
