//go:build !amd64 && !arm64

package pause

// spin burns a little time; this architecture has no hint that we know of.
//
//go:noinline
func spin(n uint32) {
	for range n * 8 {
	}
}
