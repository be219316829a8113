// Package check tells the race detector about locks that it cannot see.
//
// Go's race detector does not follow memory that was mapped with mmap: heap
// data guarded by a lock in shared memory would be reported as a race. The
// locks therefore announce themselves here. Races on the shared memory itself
// stay invisible to it.
package check
