package sync_test

import (
	"sync/atomic"
	"unsafe"

	psync "github.com/go-multiproc/multiproc/sync"
)

// eventWord is an event's word; see docs/layout.md.
func eventWord(e *psync.Event) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(e)) }
