package roster

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// Self points to this process's ID, which is 0 until it joins, and in a process
// forked from it without exec. It is what a free lock's word is swapped for, on
// the fast path of every lock, and therefore a plain word: it is written once,
// and who reads 0 meanwhile only takes the slow path.
var Self = plainly(identity)

// identity is the same word, for the one store: what was stored before it, the
// table, is seen by whoever swaps its value into a word. Who has only read the
// value may not see the table yet, if the processor reorders loads.
var identity = identityPage()

// Me returns this process's ID, 0 before Join.
func Me() ID { return ID(*Self) }

var (
	joining sync.Mutex
	joined  atomic.Pointer[table]
	errands chan func()
)

// Join claims a slot for this process, once. It fails with an error that is
// ErrRoster if the table is unusable or full; then a later call tries again.
func Join() (ID, error) {
	if id := Me(); id != 0 && joined.Load() != nil {
		return id, nil
	}
	joining.Lock()
	defer joining.Unlock()
	if joined.Load() != nil {
		if id := Me(); id != 0 {
			return id, nil
		}
		panic("multiproc: this process was forked without exec and has no identity of its own")
	}
	result := make(chan error)
	errands = make(chan func())
	go keep(result)
	if err := <-result; err != nil {
		return 0, err
	}
	return Me(), nil
}

// keep is the keeper: it claims the slot on a thread that it never leaves, so
// that the thread's end is the process's end. Meanwhile it runs errands that
// need such a thread.
func keep(result chan<- error) {
	runtime.LockOSThread()
	t, id, err := enter()
	if err != nil {
		// The thread ends with this goroutine, and takes its robust list along.
		result <- err
		return
	}
	probe.At(probe.Claim27)
	joined.Store(t)
	identity.Store(uint64(id))
	result <- nil
	for errand := range errands {
		errand()
	}
}

// OnKeeper runs f on the keeper's thread and waits for it. A child started
// there with a parent-death signal gets it when the process ends; started from
// any other thread, it gets it when that thread ends, which may be any time.
// The process must have joined. f must not execute another program: the kernel
// would then not mark this process as dead.
func OnKeeper(f func()) {
	done := make(chan struct{})
	errands <- func() {
		defer close(done)
		f()
	}
	<-done
}

// File returns the open file of this process's table, which a child is to
// inherit. The process must have joined.
func File() *os.File { return joined.Load().file }

// TableID returns the random id of this process's table. The process must have
// joined.
func TableID() [16]byte { return joined.Load().header.id }
