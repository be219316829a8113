package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// rwWords are the words of an RWMutex, as docs/layout.md describes them.
type rwWords struct {
	word  atomic.Uint64
	dirty atomic.Uint64
	used  [2]atomic.Uint64
	_     [32]byte
	lines [15][8]atomic.Uint64
}

func rwWordsOf(rw *psync.RWMutex) *rwWords { return (*rwWords)(unsafe.Pointer(rw)) }

// countHalf is the futex of a cell.
func countHalf(cell *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(cell), 4))
}

// counting returns the cells that count readers.
func (w *rwWords) counting() (cells []*atomic.Uint64) {
	for line := range w.lines {
		for row := range w.lines[line] {
			if cell := &w.lines[line][row]; cell.Load()>>32 != 0 {
				cells = append(cells, cell)
			}
		}
	}
	return cells
}
