package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// fixed are the seals of a segment.
const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// forge makes a memfd of size bytes that begins with page, with these seals.
func forge(t testing.TB, page []byte, size int64, seals int) *os.File {
	fd, err := unix.MemfdCreate("forged", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "forged")
	closing(t, f)
	_, err = f.WriteAt(page, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	require.NoError(t, err)
	return f
}

// genuine returns the header of an array of 5 int32 with a lock, and the size
// of its segment.
func genuine(t testing.TB) (page []byte, size int64) {
	a, err := ArrayOf([]int32{2, 3, 6, 7, 8}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	return firstPage(t, a.mapping.file), a.mapping.size
}

func put32(offset int, v uint32) func([]byte) {
	return func(page []byte) { binary.NativeEndian.PutUint32(page[offset:], v) }
}

func put64(offset int, v uint64) func([]byte) {
	return func(page []byte) { binary.NativeEndian.PutUint64(page[offset:], v) }
}

// Offsets within the page, as in testdata/layout.txt.
const (
	atVersion, atObjects, atSize, atRoster = 8, 12, 16, 40

	atKind, atCode, atOffset, atLength, atElement, atFingerprint, atLock, atLockOffset = 64, 68, 72, 80, 88, 96, 104, 112
)

func TestAttachRefusesHeaders(t *testing.T) {
	page, size := genuine(t)
	for _, tt := range []struct {
		name   string
		change func([]byte)
		size   int64
		want   error
	}{
		{"nothing at all", nil, 0, ErrLayout},
		{"a truncated header", nil, fixedSize, ErrLayout},
		{"one byte short of a header", nil, headerSize - 1, ErrLayout},
		{"a truncated segment", nil, size - 1, ErrLayout},
		{"more than it claims", nil, size + 1, ErrLayout},
		{"only zeros", func(page []byte) { clear(page) }, size, ErrLayout},
		{"another kind of file", func(page []byte) { copy(page, "\x7fELF") }, size, ErrLayout},
		{"the other byte order", func(page []byte) { page[8], page[11] = page[11], page[8] }, size, ErrLayout},
		{"version 1", put32(atVersion, 1), size, ErrLayout},
		{"version 3", put32(atVersion, 3), size, ErrLayout},
		{"size 0", put64(atSize, 0), size, ErrLayout},
		{"a huge size", put64(atSize, math.MaxUint64), size, ErrLayout},
		{"one object too many", put32(atObjects, maxEntries+1), size, ErrLayout},
		{"a huge number of objects", put32(atObjects, math.MaxUint32), size, ErrLayout},
		{"another roster", put64(atRoster, 1), size, ErrRoster},
		{"more than can be mapped", put64(atSize, 1<<55), 1 << 55, unix.ENOMEM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			bytes := append([]byte(nil), page...)
			if tt.change != nil {
				tt.change(bytes)
			}
			_, err := Attach(forge(t, bytes, tt.size, fixed))
			require.ErrorIs(t, err, tt.want)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "attach", e.Op)
			require.Empty(t, mappings.byKey)
		})
	}
	t.Run("unchanged", func(t *testing.T) {
		s, err := Attach(forge(t, page, size, fixed))
		require.NoError(t, err)
		require.EqualValues(t, size-headerSize, s.Size())
		require.NoError(t, s.Close())
	})
	t.Run("a full directory", func(t *testing.T) {
		put32(atObjects, maxEntries)(page)
		s, err := Attach(forge(t, page, size, fixed))
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
}

func TestAttachRefusesFiles(t *testing.T) {
	page, size := genuine(t)
	open := func(f *os.File, err error) *os.File {
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	ordinary := open(os.Create(filepath.Join(t.TempDir(), "file")))
	_, err := ordinary.Write(page)
	require.NoError(t, err)
	require.NoError(t, ordinary.Truncate(size))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	open(w, nil)
	closed := open(os.Open("/dev/null"))
	require.NoError(t, closed.Close())
	sealed := forge(t, page, size, fixed)
	readOnly := open(os.Open(fmt.Sprintf("/proc/self/fd/%d", sealed.Fd())))

	for _, tt := range []struct {
		name string
		file *os.File
		want error
	}{
		{"an ordinary file", ordinary, ErrLayout},
		{"a directory", open(os.Open(t.TempDir())), ErrLayout},
		{"a device", open(os.Open("/dev/zero")), ErrLayout},
		{"a pipe", open(r, nil), ErrLayout},
		{"a closed file", closed, ErrClosed},
		{"a memfd without seals", forge(t, page, size, 0), ErrLayout},
		{"a memfd that can grow", forge(t, page, size, unix.F_SEAL_SHRINK), ErrLayout},
		{"a memfd that can shrink", forge(t, page, size, unix.F_SEAL_GROW), ErrLayout},
		{"a memfd that nobody can write", forge(t, page, size, fixed|unix.F_SEAL_WRITE), unix.EPERM},
		{"a read-only descriptor", readOnly, unix.EACCES},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			_, err := Attach(tt.file)
			require.ErrorIs(t, err, tt.want)
			require.Empty(t, mappings.byKey)
		})
	}
}

// A file that shrinks between two looks: the seals are read after the size, so
// the worst is a size that is no longer true, which the header does not match.
func TestReadHeaderOfShrunkFile(t *testing.T) {
	page, size := genuine(t)
	f := forge(t, page, size, 0)
	require.NoError(t, f.Truncate(10))
	_, err := readHeader(f, size)
	require.ErrorIs(t, err, ErrLayout)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, f.Truncate(0))
	_, err = readHeader(f, size)
	require.ErrorIs(t, err, ErrLayout)
	_, err = readHeader(f, -1)
	require.ErrorIs(t, err, ErrLayout)
}

// receiveFrom decodes an object of type T as it would arrive with these files.
func receiveFrom[T any](tick any, files ...*os.File) (o *T, err error) {
	data, ok := tick.([]byte)
	if !ok {
		if data, err = cbor.Marshal(tick); err != nil {
			return nil, err
		}
	}
	err = wire.Decode(&wire.Message{Data: data, Files: files}, reflect.ValueOf(&o).Elem())
	return o, err
}

func TestReceiveRefusesEntries(t *testing.T) {
	page, size := genuine(t)
	for _, tt := range []struct {
		name   string
		change func([]byte)
		ticket ticket
	}{
		{"kind 0", put32(atKind, 0), ticket{}},
		{"kind value", func(p []byte) { put32(atKind, kindValue)(p); put64(atLength, 1)(p) }, ticket{}},
		{"kind 3", put32(atKind, 3), ticket{}},
		{"data in the header", put64(atOffset, headerSize-64), ticket{}},
		{"data outside", put64(atOffset, uint64(size+64)&^63), ticket{}},
		{"data far outside", put64(atOffset, math.MaxUint64&^63), ticket{}},
		{"data at an odd place", func(p []byte) { put32(atLock, lockNone)(p); put64(atOffset, 4104)(p) }, ticket{}},
		{"one element too many", put64(atLength, 6), ticket{}},
		{"a length that overflows", put64(atLength, math.MaxUint64/4+2), ticket{}},
		{"a negative length", put64(atLength, math.MaxUint64), ticket{}},
		{"elements without size", put64(atElement, 0), ticket{}},
		{"larger elements", func(p []byte) { put64(atElement, 8)(p); put64(atLength, 2)(p) }, ticket{}},
		{"smaller elements", put64(atElement, 2), ticket{}},
		{"huge elements", put64(atElement, math.MaxUint64), ticket{}},
		{"another type of the same size", put64(atFingerprint, 1), ticket{}},
		{"lock of kind 3", put32(atLock, 3), ticket{}},
		{"lock in the header", put64(atLockOffset, headerSize-64), ticket{}},
		{"lock in the data", put64(atLockOffset, 4160), ticket{}},
		{"lock outside", put64(atLockOffset, 1<<40), ticket{}},
		{"lock whose end overflows", func(p []byte) { put64(atLockOffset, math.MaxUint64-63)(p); put64(atOffset, 0)(p) }, ticket{}},
		{"lock at an odd place", put64(atLockOffset, 4097), ticket{}},
		{"no objects", put32(atObjects, 0), ticket{}},
		{"another object", nil, ticket{Object: 1}},
		{"an object before the first", nil, ticket{Object: -1}},
		{"an empty place in the directory", put32(atObjects, 2), ticket{Object: 1}},
		{"an object beyond the directory", put32(atObjects, maxEntries), ticket{Object: maxEntries}},
		{"a file that did not come", nil, ticket{File: 2}},
		{"a negative file", nil, ticket{File: -1}},
		{"a lock in a file that did not come", put32(atLock, lockElsewhere), ticket{LockFile: 2, LockOffset: headerSize}},
		{"a lock in another kind of file", put32(atLock, lockElsewhere), ticket{LockFile: 1, LockOffset: headerSize}},
		{"a lock in the header", put32(atLock, lockElsewhere), ticket{LockOffset: headerSize - 8}},
		{"a lock at a negative offset", put32(atLock, lockElsewhere), ticket{LockOffset: math.MinInt}},
		{"a lock at an odd offset", put32(atLock, lockElsewhere), ticket{LockOffset: headerSize + 4}},
		{"half a lock", put32(atLock, lockElsewhere), ticket{LockOffset: (int(size) - 16) &^ 7, Recursive: true}},
		{"a lock outside", put32(atLock, lockElsewhere), ticket{LockOffset: math.MaxInt &^ 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			bytes := append([]byte(nil), page...)
			if tt.change != nil {
				tt.change(bytes)
			}
			f := forge(t, bytes, size, fixed)
			a, err := receiveFrom[Array[int32]](tt.ticket, f, forge(t, nil, size, fixed))
			require.True(t, errors.Is(err, ErrLayout) || errors.Is(err, wire.ErrFormat), "%v", err)
			require.Regexp(t, `shm: array( "forged")?: attach: `, err.Error())
			require.Empty(t, mappings.byKey)
			if a != nil { // what did not arrive is as if closed
				require.ErrorIs(t, panicOf(t, func() { a.Lock() }), ErrClosed)
				require.ErrorIs(t, panicOf(t, func() { a.At(0) }), ErrClosed)
				require.ErrorIs(t, a.Close(), ErrClosed)
			}
		})
	}
	t.Run("unchanged", func(t *testing.T) {
		a, err := receiveFrom[Array[int32]](ticket{}, forge(t, page, size, fixed))
		require.NoError(t, err)
		require.Equal(t, []int32{0, 0, 0, 0, 0}, a.Copy())
		require.NoError(t, a.Close())
	})
	t.Run("the code counts for tools only", func(t *testing.T) {
		put32(atCode, 'd')(page)
		a, err := receiveFrom[Array[int32]](ticket{}, forge(t, page, size, fixed))
		require.NoError(t, err)
		require.NoError(t, a.Close())
	})
}

var outsider = proctest.Register("outsider", func(h *proctest.Helper) error {
	_, err := Attach(h.Files[0])
	h.Say(fmt.Sprint(errors.Is(err, ErrRoster), " ", err))
	own, err := Create("own", 8)
	if err != nil {
		return err
	}
	return own.Close()
})

func TestAttachWithAnotherRoster(t *testing.T) {
	proctest.NoLeaks(t)
	s := testSegment(t, 8)
	t.Setenv("MULTIPROC_ROSTER", filepath.Join(t.TempDir(), "roster"))
	p := outsider.Start(t, []*os.File{s.File()})
	p.Expect(t, `true shm: segment "file 0": attach: segment belongs to another roster of processes`)
	require.NoError(t, p.Wait(t))
}
