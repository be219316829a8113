//go:build !amd64 || race

package shm

import (
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
)

// A mark is what the other file of this kind says. Here atomic stores are cheap
// enough, or the race detector is to see them.
type mark struct{ word atomic.Uint32 }

func (m *mark) set() {
	if check.Race { // then Store is no fence
		m.word.Swap(1)
		return
	}
	m.word.Store(1)
}

func (m *mark) clear() { m.word.Store(0) }

func (m *mark) isSet() bool { return m.word.Load() != 0 }
