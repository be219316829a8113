// Package sync provides locks, and all else that processes wait for each other
// with.
//
// Every type here is a plain value that lies in shared memory, usually inside a
// shm.Array or a struct placed with shm.Place. There are no handles: all-zero
// bytes are valid, an unlocked lock, an event that is not set, and fresh shared
// memory is all zero bytes. Where zero cannot serve, as for the number of parties of
// a [Barrier], Init says it once, and every process may call it. Values must not be
// copied after first use.
//
// The name is deliberate. A [Mutex] here keeps the contract of the standard
// library's and adds one thing that one never meets: the holder can die. See
// [ErrOwnerDied]. Files that need both packages import this one as psync; in
// this module every file does.
//
//	type              bytes  std             pthread, process-shared  Python
//	Mutex             8      sync.Mutex      robust mutex             Lock
//	RMutex            24     -               robust, recursive        RLock
//	RWMutex           1024   sync.RWMutex    rwlock, not robust       -
//	Cond              256    sync.Cond       cond                     Condition
//	Semaphore         24     -               sem_t                    Semaphore
//	BoundedSemaphore  512    -               - (System V: SEM_UNDO)   BoundedSemaphore
//	Event             4      -               -                        Event
//	Barrier           512    -               barrier                  Barrier
//	Once              16     sync.Once       - (pthread_once)         -
//	WaitGroup         512    sync.WaitGroup  -                        -
//
// What a death means. Of pthread's only the robust mutexes have an answer, and of
// Python's none.
//
//	Mutex             the next one has it and is told
//	RMutex            the same, whatever the depth was
//	RWMutex           a dead reader counts no more; after a dead writer the next writer has
//	                  it and is told, and a reader is told and does not have it
//	Cond              a dead waiter's signal goes to another; who waits is told of a dead holder
//	                  of the lock
//	Semaphore         the permits that the dead one took are gone
//	BoundedSemaphore  its permits are free again
//	Event             nothing is lost
//	Barrier           it breaks if the dead one was inside or registered: the others are told
//	Once              the next one runs its function, and is told
//	WaitGroup         what the dead one had claimed is given back, and waiters are told
//
// # How a lock learns of a death
//
// Each process that uses a lock claims a slot in a table of processes, once;
// the first Lock does it if nothing did before. The kernel marks the slot when
// the process ends, and wakes who watches it. A sleeping Lock watches the slot
// of the process that it waits for, so it learns of its death at once, and not
// by a time-out. A process that is stopped is alive: others wait for it.
//
// # Fairness
//
// A free lock goes to whoever comes first, and one who runs comes before one who
// must wake up. A process that has waited for a millisecond has the lock kept for
// it. One that is stopped does not hold up the others: they pass it over at the
// next look that finds the lock kept for 5 ms, which is at most 105 ms later.
//
// # Goroutines
//
// Many goroutines of one process may wait for one thing: one of them sleeps in
// the kernel, the others wait in Go, so that they cost no threads. At most 1000
// threads of a process sleep on different things; further waiters look at theirs
// every 10 to 100 ms instead. A lock belongs to the process, as std's
// Mutex does: another goroutine of the same process may unlock it. An [RMutex]
// belongs to one goroutine.
//
// # Memory
//
// A lock must lie in memory that every participant maps shared, at a multiple
// of 8 bytes, and must stay mapped while anybody uses it. All participants must be in
// the same roster of processes, or they cannot tell who of them lives: a segment of
// package shm refuses who is in another one, memory that is shared in other ways
// does not. What was written under the lock is visible to whoever holds it next, in any process; see
// docs/memory-model.md.
package sync
