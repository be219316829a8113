package shm

// Atomic is the types on which processors change a shared element in one step.
type Atomic interface {
	~int | ~uint | ~int32 | ~uint32 | ~int64 | ~uint64
}

// Add adds delta to element i of a and returns the new value, wrapping around.
// It takes no lock: it is atomic among Add and CompareAndSwap of all processes,
// and nothing can be left half-done.
func Add[T Atomic](a *Array[T], i int, delta T) T {
	return atomicAdd(&a.view[a.at(i)], delta)
}

// CompareAndSwap sets element i of a to next if it is old, and reports whether
// it was. It takes no lock; see [Add].
func CompareAndSwap[T Atomic](a *Array[T], i int, old, next T) bool {
	return atomicCompareAndSwap(&a.view[a.at(i)], old, next)
}
