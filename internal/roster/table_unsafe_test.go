package roster

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// close does what the end of a process does.
func (t *table) close() error {
	size := slotSize * (1 + len(t.slots))
	return errors.Join(unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(t.header)), size)), t.file.Close())
}

// mapWords maps the first page of file as words. The mapping stays.
func mapWords(file *os.File) ([]atomic.Uint32, error) {
	page, err := unix.Mmap(int(file.Fd()), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(page))), len(page)/4), nil
}

// forkedSelf returns what a process that is forked from this one without exec
// reads in Self. Such a process has one thread and no Go runtime to speak of:
// it must not do anything else.
//
//go:norace
//go:nosplit
func forkedSelf(self *uint64) (pid uintptr, errno unix.Errno) {
	pid, _, errno = unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
	if pid == 0 && errno == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(*self&0xff), 0, 0)
	}
	return pid, errno
}
