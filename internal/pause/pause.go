// Package pause lets a spinning processor rest between two looks at a word.
package pause

// The upper bound of one call keeps a goroutine preemptible: Go cannot stop
// assembly, and 1000 pauses are about 25 µs.
const most = 1000

// Times runs the processor's spin-wait hint n times, at most 1000 of them.
//
// On amd64 one PAUSE costs about 25 ns on current processors (4 ns on old
// ones); it saves power, yields the core to a sibling hyperthread and avoids
// the memory-order mis-speculation that ends a tight polling loop.
func Times(n uint32) {
	if n == 0 {
		return
	}
	spin(min(n, most))
}
