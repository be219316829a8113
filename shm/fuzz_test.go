package shm

import (
	"os"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/plain"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// Fields that a fuzzer does not guess: each bit puts the right value in.
const (
	fixMagic = 1 << iota
	fixRoster
	fixSize
	fixEntry // element and fingerprint of an int32
)

// FuzzHeader attaches a segment that begins with any bytes, and receives an
// object from it. Either is refused, or whatever is accepted lies inside.
func FuzzHeader(f *testing.F) {
	page, size := genuine(f)
	used := page[:fixedSize+entrySize]
	f.Add(used, uint16(size), uint8(0), int64(0), false)
	f.Add(used, uint16(size), uint8(fixMagic|fixRoster|fixSize|fixEntry), int64(0), false)
	value := append([]byte(nil), used...)
	put32(atKind, kindValue)(value)
	put64(atLength, 1)(value)
	f.Add(value, uint16(size), uint8(fixMagic|fixRoster|fixSize|fixEntry), int64(0), false)
	lock := append([]byte(nil), used...)
	put32(atLock, lockElsewhere)(lock)
	f.Add(lock, uint16(size), uint8(fixMagic|fixRoster|fixSize|fixEntry), int64(headerSize), true)
	f.Add([]byte(magic), uint16(headerSize), uint8(0), int64(-1), false)
	f.Add([]byte{}, uint16(0), uint8(fixMagic|fixSize), int64(1)<<62, true)

	f.Fuzz(func(t *testing.T, bytes []byte, size uint16, fix uint8, lockOffset int64, recursive bool) {
		page := make([]byte, headerSize)
		copy(page, bytes)
		if fix&fixMagic != 0 {
			copy(page, magic)
			put32(atVersion, version)(page)
		}
		if fix&fixRoster != 0 {
			table := roster.TableID()
			copy(page[atRoster:], table[:])
		}
		if fix&fixSize != 0 {
			put64(atSize, uint64(size))(page)
		}
		if fix&fixEntry != 0 {
			put64(atElement, 4)(page)
			put64(atFingerprint, plain.Fingerprint(reflect.TypeFor[int32]()))(page)
		}
		file := forge(t, page, int64(size), fixed)

		if s, err := Attach(file); err == nil {
			v, err := PlaceSlice[byte](s, 0, s.Size())
			require.NoError(t, err)
			offsetOf(t, s.mapping.Load(), v)
			touch(v)
			require.NoError(t, s.Close())
		}
		tick := ticket{LockOffset: int(lockOffset), Recursive: recursive}
		if a, err := receiveFrom[Array[int32]](tick, file); err == nil {
			require.Equal(t, a.Len(), len(a.View()))
			inside(t, &a.object)
		}
		if v, err := receiveFrom[Value[int32]](tick, file); err == nil {
			inside(t, &v.object)
		}
		require.Empty(t, mappings.byKey)
	})
}

// inside checks that an accepted object lies inside its segment, uses all of
// it, and closes it.
func inside(t *testing.T, o *object[int32]) {
	offsetOf(t, o.mapping, o.view)
	touch(o.view)
	if lock := o.Locker(); lock != nil {
		in := o.mapping
		if o.lockIn != nil {
			in = o.lockIn
		}
		_, ok := in.offsetIn(lock)
		require.True(t, ok)
		_, held := lock.Holder()
		require.Equal(t, !held, lock.TryLock())
		if !held {
			lock.Unlock()
		}
	}
	require.NoError(t, o.Close())
}

// touch writes each element without changing it.
func touch[T any](v []T) {
	for i := range v {
		v[i] = touched(v[i])
	}
}

//go:noinline
func touched[T any](x T) T { return x }

// FuzzTicket decodes any CBOR in place of an array, with two descriptors at
// hand: an array that has its lock elsewhere, and the segment of that lock.
func FuzzTicket(f *testing.F) {
	lock, err := Create("lock", 64)
	require.NoError(f, err)
	closing(f, lock)
	page, size := genuine(f)
	put32(atLock, lockElsewhere)(page)
	files := []*os.File{forge(f, page, size, fixed), lock.File()}

	for _, v := range []any{
		ticket{}, ticket{LockFile: 1, LockOffset: headerSize, Recursive: true}, ticket{LockFile: 1, LockOffset: headerSize + 56},
		ticket{File: 1}, ticket{File: -1}, ticket{LockFile: 1 << 40}, ticket{Object: 1},
		nil, 1, "text", []int{}, []int{0, 0, 0, 0}, []any{0, 0, 1, headerSize, "true"}, []any{0, 0, 1, 4096.5, true},
		map[string]int{"File": 0}, []any{0, 0, 1, uint64(1) << 63, true}, []any{ticket{}},
	} {
		data, err := cbor.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte{0x85})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})

	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := receiveFrom[Array[int32]](data, files...)
		switch {
		case err == nil && a != nil:
			inside(t, &a.object)
		case err != nil && a != nil:
			require.ErrorIs(t, a.Close(), ErrClosed)
		}
		require.Len(t, mappings.byKey, 1, "the segment of the lock, which the test has")
	})
}
