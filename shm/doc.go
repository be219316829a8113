// Package shm provides memory that processes share, and typed data in it: an
// [Array] or a [Value] is to the processes of a program what a slice or a
// variable is to its goroutines.
//
// Memory comes in segments. A [Segment] has no name in any file system: a child
// process gets its descriptor, either inside an argument (proc does that) or by
// hand. The kernel frees it when the last process that has it is gone, however
// that one ended; nothing is left behind.
//
// A [Queue] takes items from any number of processes to any number of others; a
// [Pipe] connects two. Their items may be of any type that can travel: those
// without pointers lie in the memory as they are, others are encoded.
//
// Only types without Go pointers can lie in segments, arrays and values: numbers, booleans,
// arrays and structs of them, and the locks of package sync of this module. What
// cannot is refused with the path of the offending field. A peer can write
// anything at any time, so what is read from a header is checked before use;
// the data itself is the program's to judge.
//
// Go's garbage collector does not see shared memory. A view of it does not keep
// it mapped: after Close, a view that is still in use faults. Whoever creates an
// object closes it; objects that arrived in a child are closed by its end.
package shm
