//go:build amd64 || arm64

package pause

// spin runs the hint n > 0 times.
//
//go:noescape
func spin(n uint32)
