package futex

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapWords maps the first page of file as words. The mapping stays.
func mapWords(file *os.File) ([]atomic.Uint32, error) {
	return wordsOf(unix.Mmap(int(file.Fd()), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
}

// forbiddenWords are words of a page that nobody may read, as one that is not
// mapped; only that nothing else can come to lie there.
func forbiddenWords() ([]atomic.Uint32, error) {
	return wordsOf(unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_NONE, unix.MAP_SHARED|unix.MAP_ANON))
}

func wordsOf(page []byte, err error) ([]atomic.Uint32, error) {
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(page))), len(page)/4), nil
}
