package roster

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"structs"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The table is a file format: a header of 64 bytes, then slots of 64 bytes.
// Multi-byte fields are in the processor's order; a roster never leaves its
// machine.
const (
	magic    = "MPROSTER"
	version  = 2
	Slots    = slotMask // as many as an ID can name: with the header exactly 1 MiB
	slotSize = 64
)

// A header is the first 64 bytes of the table.
//
//	off size field
//	  0    8 magic   "MPROSTER"
//	  8    4 version 2
//	 12    4 slots   how many follow
//	 16   16 id      random; a segment records it, so that two rosters never judge one lock
//	 32    4 cursor  claims begun so far: the next one begins at slot cursor mod slots
//	 36    4 -       zero
//	 40    8 pidns   inode of the pid namespace in which the pids below mean something
//	 48   16 boot    the kernel's boot id: after a reboot everybody in here is dead
type header struct {
	_       structs.HostLayout
	magic   [8]byte
	version uint32
	slots   uint32
	id      [16]byte
	cursor  atomic.Uint32
	_       uint32
	pidns   uint64
	boot    [16]byte
}

// A slot describes one process, alive or dead.
//
//	off size field
//	  0    4 live       L, see the package comment
//	  4    4 generation raised at each claim
//	  8    4 pid
//	 12    4 -          zero
//	 16    8 start      start time in clock ticks after boot; with the pid it names the process
//	 24    8 stack      where its program's stack began; another program's begins elsewhere
//	 32   32 -          zero
type slot struct {
	_          structs.HostLayout
	live       atomic.Uint32
	generation atomic.Uint32
	pid        atomic.Uint32
	_          uint32
	start      atomic.Uint64
	stack      atomic.Uint64
	_          [32]byte
}

// An owner is what a slot says of the process that owns it. Without /proc it is the
// pid alone.
type owner struct {
	pid          int
	start, stack uint64
}

func (s *slot) owner() owner {
	return owner{int(s.pid.Load()), s.start.Load(), s.stack.Load()}
}

// The bits of a liveness word, from include/uapi/linux/futex.h.
const (
	waiters   = 1 << 31 // FUTEX_WAITERS
	ownerDied = 1 << 30 // FUTEX_OWNER_DIED
	tidMask   = 1<<30 - 1
)

// A table is a mapped roster.
type table struct {
	file   *os.File // kept open: children inherit it
	header *header
	slots  []slot
	unmap  func()
}

// ErrRoster is the error of a roster that cannot be trusted or used.
var ErrRoster = errors.New("the roster of processes cannot be used")

// format writes a fresh table of n slots into file. Storage is reserved, so
// that a full file system is an error now and never a SIGBUS later.
func format(file *os.File, n int) error {
	size := int64(slotSize * (1 + n))
	if err := unix.Fallocate(int(file.Fd()), 0, 0, size); err != nil {
		return fmt.Errorf("reserve %d bytes: %w", size, err)
	}
	pidns, boot, err := here()
	if err != nil {
		return err
	}
	var h bytes.Buffer
	h.WriteString(magic)
	for _, field := range []any{uint32(version), uint32(n), randomID(), uint64(0), pidns, boot} {
		if err := binary.Write(&h, binary.NativeEndian, field); err != nil {
			return fmt.Errorf("encode header: %w", err) // cannot happen: fixed-size fields into memory
		}
	}
	if _, err := file.WriteAt(h.Bytes(), 0); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

func randomID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails: it ends the program instead
	return id
}

// here names the pid namespace and the boot to which pids belong. Without
// /proc both are zero: then every process of the table must be without it.
func here() (pidns uint64, boot [16]byte, err error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err == nil {
		pidns = st.Ino
	}
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return pidns, boot, nil
	}
	digits := bytes.ReplaceAll(bytes.TrimSpace(text), []byte("-"), nil)
	if len(digits) != hex.EncodedLen(len(boot)) {
		return 0, boot, fmt.Errorf("boot id %q is not a UUID", text)
	}
	if _, err := hex.Decode(boot[:], digits); err != nil {
		return 0, boot, fmt.Errorf("boot id %q: %w", text, err)
	}
	return pidns, boot, nil
}

// load is loadInherited for a table that was found under a name: nobody else
// than this user may have it.
func load(file *os.File) (*table, error) {
	t, err := loadInherited(file)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(file.Fd()), &st); err != nil {
		err = fmt.Errorf("stat: %w", err)
	} else if int(st.Uid) != os.Geteuid() {
		err = fmt.Errorf("%w: it belongs to user %d and this process to user %d", ErrRoster, st.Uid, os.Geteuid())
	} else if st.Mode&0o077 != 0 {
		err = fmt.Errorf("%w: its mode is %#o, others may open it", ErrRoster, st.Mode&0o777)
	}
	if err != nil {
		t.unmap()
		return nil, err
	}
	return t, nil
}

// loadInherited maps the table in file after checking everything that can be
// checked, but not whose it is: the parent has vouched for it, perhaps as
// another user. The file belongs to the table afterwards; on error the caller
// keeps it.
func loadInherited(file *os.File) (*table, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%w: it is not a regular file", ErrRoster)
	case st.Size < 2*slotSize || st.Size > slotSize*(1+Slots) || st.Size%slotSize != 0:
		return nil, fmt.Errorf("%w: its size is %d bytes", ErrRoster, st.Size)
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", st.Size, err)
	}
	t := view(data)
	t.file = file
	t.unmap = func() { _ = unix.Munmap(data) } // of a table that nobody uses
	if err := t.check(st.Size); err != nil {
		t.unmap()
		return nil, err
	}
	return t, nil
}

func (t *table) check(size int64) error {
	h := t.header
	if string(h.magic[:]) != magic {
		return fmt.Errorf("%w: it starts with %q instead of %q", ErrRoster, h.magic, magic)
	}
	if h.version != version {
		return fmt.Errorf("%w: its version is %d, this program knows %d", ErrRoster, h.version, version)
	}
	if int64(h.slots) != size/slotSize-1 {
		return fmt.Errorf("%w: it claims %d slots in %d bytes", ErrRoster, h.slots, size)
	}
	pidns, boot, err := here()
	if err != nil {
		return err
	}
	if h.pidns != pidns {
		return fmt.Errorf("%w: it was made in another pid namespace", ErrRoster)
	}
	if h.boot != boot {
		return fmt.Errorf("%w: it was made before the last reboot, remove it", ErrRoster)
	}
	return nil
}
