package proctest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// strideVariable is in the environment of a run that is to be short.
const strideVariable = "MULTIPROC_STRIDE"

// Sample returns each n-th of all, beginning at random, where n is what the
// variable MULTIPROC_STRIDE says, and all of them if it is not set. It is for
// tests that kill a process at thousands of places, and in a short run at some
// of them, others each time.
func Sample[T any](t testing.TB, all []T) (some []T) {
	t.Helper()
	stride := 1
	if text := os.Getenv(strideVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("proctest: %s is %q, not a number from 1", strideVariable, text)
		}
		stride = n
	}
	for i := rand.IntN(stride); i < len(all); i += stride {
		some = append(some, all[i])
	}
	return some
}
