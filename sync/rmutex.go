package sync

import (
	"context"
	"fmt"
	"math"
	"os"
	"structs"
	"sync/atomic"

	"github.com/petermattis/goid"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// An RMutex is a recursive mutual exclusion lock shared by processes, like
// Python's RLock. Its owner is one goroutine of one process, which may lock it
// again, up to 2^32-1 times, and must unlock it as often. Goroutines that the
// owner starts are not owners. The zero value is unlocked.
//
// If the owner's process dies the lock is free, whatever its depth was, and the
// next one is told, as with [Mutex].
//
// Layout, version 1, 24 bytes, the processor's byte order:
//
//	off size field
//	  0    8 mutex
//	  8    8 holder  the owner's roster id << 34 | goroutine id modulo 2^34; 0 = nobody
//	 16    4 depth   how often the owner has locked
//	 20    4 -       zero
type RMutex struct {
	_      structs.HostLayout
	mu     Mutex
	holder atomic.Uint64
	depth  uint32
	_      uint32
}

// key names the calling goroutine among all goroutines of all processes: the
// roster id is 30 bits. The goroutine id keeps 34; Go counts them up from 1 and
// never reuses one.
//
// Why one word decides: a goroutine finds its own key in holder only if it
// stored it there itself, and it removes the key before it lets go. What others
// store, and what a dead owner left, is another key. So the store needs no
// ordering: a goroutine sees its own stores in order, and nobody else's matter.
func key(me roster.ID) uint64 {
	return uint64(me)<<34 | uint64(goid.Get())&(1<<34-1)
}

// Lock locks r, or locks it once more if this goroutine owns it. It panics with
// an [*OwnerDiedError] if the last owner's process died; see [Mutex.Lock].
func (r *RMutex) Lock() {
	me := roster.Me()
	k := key(me)
	if r.again(me, k) {
		return
	}
	r.mu.Lock()
	r.enter(me, k)
}

// LockContext is [Mutex.LockContext] for a recursive lock. For the owner it
// succeeds at once, whatever ctx says.
func (r *RMutex) LockContext(ctx context.Context) error {
	me := roster.Me()
	k := key(me)
	if r.again(me, k) {
		return nil
	}
	err := r.mu.LockContext(ctx)
	if err == nil || holds(err) {
		r.enter(me, k)
	}
	return err
}

// TryLock locks r if it is free or owned by this goroutine, and never waits. It
// does not take a lock whose owner died, nor one that is kept for a living
// process, even if that is stopped; see [Mutex.TryLock]. It panics if this process
// cannot join the roster of processes.
func (r *RMutex) TryLock() bool {
	me := roster.Me()
	k := key(me)
	if r.again(me, k) {
		return true
	}
	if !r.mu.TryLock() {
		return false
	}
	r.enter(me, k)
	return true
}

// Unlock takes back one Lock. It panics if this goroutine does not own r.
func (r *RMutex) Unlock() {
	if me := roster.Me(); me == 0 || r.holder.Load() != key(me) {
		panic(r.misuse("Unlock"))
	}
	if r.depth--; r.depth > 0 {
		return
	}
	if probe.Enabled {
		probe.At(probe.Leave15)
	}
	storeRelaxed(&r.holder, 0)
	r.mu.Unlock()
}

// MarkConsistent says that what r guards was repaired after its owner died. It
// panics if this goroutine does not own r.
func (r *RMutex) MarkConsistent() {
	if me := roster.Me(); me == 0 || r.holder.Load() != key(me) {
		panic(r.misuse("MarkConsistent"))
	}
	r.mu.MarkConsistent()
}

// Holder returns the process that holds r; see [Mutex.Holder].
func (r *RMutex) Holder() (pid int, held bool) { return r.mu.Holder() }

// held lets a Cond release r and take it again.
func (r *RMutex) held(op string) (word *atomic.Uint64, depth *uint32) {
	if me := roster.Me(); me == 0 || r.holder.Load() != key(me) {
		panic(r.misuse(op))
	}
	return &r.mu.word, &r.depth
}

// again locks r once more if this goroutine owns it.
func (r *RMutex) again(me roster.ID, k uint64) bool {
	if me == 0 || r.holder.Load() != k {
		return false
	}
	if r.depth == math.MaxUint32 {
		panic("psync: RMutex locked 2^32 times by one goroutine")
	}
	r.depth++
	return true
}

// enter makes this goroutine, which has just taken mu, the owner. Taking it may
// have been what made this process join the roster.
func (r *RMutex) enter(me roster.ID, k uint64) {
	if me == 0 {
		k = key(roster.Me())
	}
	if probe.Enabled {
		probe.At(probe.Enter14)
	}
	r.depth = 1
	storeRelaxed(&r.holder, k)
}

func (r *RMutex) misuse(op string) string {
	if pid, held := r.Holder(); !held || pid != os.Getpid() {
		return misuse(op, &r.mu.word)
	}
	return fmt.Sprintf("psync: %s by goroutine %d of an RMutex held by goroutine %d of the same process %d",
		op, goid.Get(), r.holder.Load()&(1<<34-1), os.Getpid())
}
