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
// Only types without Go pointers can lie in segments, arrays and values: numbers,
// booleans, arrays and structs of them, and the locks of package sync of this
// module. What cannot is refused with the path of the offending field. A peer can
// write anything at any time, so what is read from a header is checked before
// use; the data itself is the program's to judge.
//
// Go's garbage collector does not see shared memory. A view of it does not keep
// it mapped: after Close, a view that is still in use faults. Whoever creates an
// object closes it; one that is forgotten is reported by slog. Objects that
// arrived are closed by the end of their process: one that lives on and receives
// many closes each (a queue: Detach) when it is done with it. Nothing reports
// those, except ends of pipes.
//
// Methods of a nil pointer panic, as Go's own do. The zero value, and what has
// been closed or detached, answers with [ErrClosed]: methods without an error
// result panic with it, apart from Len, Cap, String and Locker.
//
// Errors are of type [*Error] and name the object: shm: queue "jobs": put: closed.
// Without a name of its own an object has that of its type. What a caller
// expects now and then comes as it is: ErrFull, ErrEmpty, io.EOF, the context's
// error.
package shm
