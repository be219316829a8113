package roster

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout is a file format, so a change must stop the build.
var (
	_ [64]byte       = [unsafe.Sizeof(header{})]byte{}
	_ [32]byte       = [unsafe.Offsetof(header{}.cursor)]byte{}
	_ [40]byte       = [unsafe.Offsetof(header{}.pidns)]byte{}
	_ [48]byte       = [unsafe.Offsetof(header{}.boot)]byte{}
	_ [slotSize]byte = [unsafe.Sizeof(slot{})]byte{}
	_ [4]byte        = [unsafe.Offsetof(slot{}.generation)]byte{}
	_ [8]byte        = [unsafe.Offsetof(slot{}.pid)]byte{}
	_ [16]byte       = [unsafe.Offsetof(slot{}.start)]byte{}
	_ [24]byte       = [unsafe.Offsetof(slot{}.stack)]byte{}
)

// view lays header and slots over a mapping of at least two slots' size.
func view(data []byte) *table {
	base := unsafe.Pointer(unsafe.SliceData(data))
	return &table{
		header: (*header)(base),
		slots:  unsafe.Slice((*slot)(unsafe.Add(base, slotSize)), len(data)/slotSize-1),
	}
}

// A robustList is what the kernel reads when the keeper's thread ends: struct
// robust_list_head, and the one node that is ever on it.
//
// It lies in a shared anonymous page of this process. Not in private memory:
// the OOM reaper takes that away before the kernel walks the list. Not in the
// roster: two processes that try for one slot would write each other's
// addresses there.
type robustList struct {
	next     atomic.Uintptr // head: the first node, or the head itself
	offset   atomic.Int64   // from a node to its futex word: the same for all nodes
	pending  atomic.Uintptr // a node on its way onto or off the list
	nodeNext atomic.Uintptr // the node: the head again
}

var _ [32]byte = [unsafe.Sizeof(robustList{})]byte{}

const robustHeadSize = 24

// newRobustList maps an empty list.
func newRobustList() (*robustList, error) {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	l := (*robustList)(unsafe.Pointer(unsafe.SliceData(page)))
	l.next.Store(uintptr(unsafe.Pointer(l)))
	l.nodeNext.Store(uintptr(unsafe.Pointer(l)))
	return l, nil
}

// register makes l the robust list of the calling thread.
func (l *robustList) register() error { return setRobustList(unsafe.Pointer(l)) }

// drop unmaps l, which the calling thread may have registered.
func (l *robustList) drop() {
	_ = setRobustList(nil) // refused only if register was
	_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(l)), unix.Getpagesize()))
}

func setRobustList(head unsafe.Pointer) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(head), robustHeadSize, 0); errno != 0 {
		return errno
	}
	return nil
}

// node is the address by which the kernel knows the node. It is part of l, so
// the offset from it to any word is an ordinary difference of addresses.
func (l *robustList) node() uintptr { return uintptr(unsafe.Pointer(&l.nodeNext)) }

// aim makes word the futex of the node.
func (l *robustList) aim(word *atomic.Uint32) {
	l.offset.Store(int64(uintptr(unsafe.Pointer(word)) - l.node()))
}

// identityPage returns a word that a process forked from this one without exec
// reads as zero: such a process must not act under our name.
func identityPage() *atomic.Uint64 {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return new(atomic.Uint64) // no memory for a page: the heap's word works, but forks copy it
	}
	_ = unix.Madvise(page, unix.MADV_WIPEONFORK) // before Linux 4.14: as above
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(page)))
}

// plainly returns the word for loads that cost nothing.
func plainly(word *atomic.Uint64) *uint64 { return (*uint64)(unsafe.Pointer(word)) }
