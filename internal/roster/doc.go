// Package roster knows who is alive.
//
// Every process that takes part claims one slot in a table in shared memory. A
// slot's liveness word holds the thread id of the process's keeper, a thread
// that lives exactly as long as the process. The word is the only entry, for
// ever, on that thread's robust list: when the process ends in any way, the
// kernel itself marks the word with FUTEX_OWNER_DIED and wakes a sleeper on it.
// So whoever waits for something that a process holds watches one more word,
// and learns of its death in a tenth of a millisecond.
//
// Processes of one user share one table, a file of 1 MiB in /dev/shm. Where
// that file cannot be used, a table without a name serves the process and its
// descendants. Children inherit the descriptor of their parent's table.
//
//	word L    31 FUTEX_WAITERS, preset: without it the kernel marks but wakes nobody;
//	             missing in a process that the kernel refuses to watch
//	          30 FUTEX_OWNER_DIED, set by the kernel
//	          29..0 thread id of the keeper, 0 = never claimed or dead
//
// The kernel compares L with the thread id, so L has no room for a generation;
// it stands beside L and is raised at each claim. An [ID] carries both slot and
// generation: it names one process for ever (until a slot's generation has
// gone round after 65,536 claims of that one slot; free slots are handed out in
// turn, so with k of them that is after k times 65,536 process starts: a thousand
// million in a roster that is nearly empty).
package roster
