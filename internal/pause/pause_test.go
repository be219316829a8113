package pause

import (
	"math"
	"testing"
)

// TestBounded asks for more than can be waited for: a call that took the number
// at its word would last a minute and more.
func TestBounded(t *testing.T) {
	for range 100 {
		Times(math.MaxUint32)
	}
}

// TestNone: a loop that counts down from zero would go round four thousand
// million times.
func TestNone(t *testing.T) {
	for range 100 {
		Times(0)
	}
}

func TestFew(t *testing.T) {
	for n := range uint32(most + 2) {
		Times(n)
	}
}

// BenchmarkTimes shows what one pause costs.
func BenchmarkTimes(b *testing.B) {
	for range b.N {
		Times(1)
	}
}
