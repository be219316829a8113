// Package sync provides locks that work between processes.
//
// Every type here is a plain value that lies in shared memory, usually inside a
// shm.Array or a struct placed with shm.Place. There are no handles and no init
// calls: all-zero bytes are a valid, unlocked lock, and fresh shared memory is
// all zero bytes. Values must not be copied after first use.
//
// The name is deliberate. A [Mutex] here keeps the contract of the standard
// library's and adds one thing that one never meets: the holder can die. See
// [ErrOwnerDied]. Files that need both packages import this one as psync; in
// this module every file does.
//
//	type     bytes  std         pthread (PROCESS_SHARED)  Python  when the holder dies
//	Mutex    8      sync.Mutex  robust mutex              Lock    the next one has it and is told
//	RMutex   24     -           robust, recursive         RLock   the same, whatever the depth was
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
// Many goroutines of one process may wait for one lock: one of them sleeps in
// the kernel, the others wait in Go, so that they cost no threads. At most 1000
// threads of a process sleep on different locks; further waiters look at their
// locks every 10 to 100 ms instead. A lock belongs to the process, as std's
// Mutex does: another goroutine of the same process may unlock it. An [RMutex]
// belongs to one goroutine.
//
// # Memory
//
// A lock must lie in memory that every participant maps shared, at a multiple
// of 8 bytes, and must stay mapped while anybody uses it. What was written
// under the lock is visible to whoever holds it next, in any process; see
// docs/memory-model.md.
package sync
