package proctest

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A witness keeps what a test would log.
type witness struct {
	testing.TB
	failed bool
	said   []string
}

func (w *witness) Helper()      {}
func (w *witness) Failed() bool { return w.failed }
func (w *witness) Logf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}
func (w *witness) Fatalf(format string, args ...any) {
	w.Logf(format, args...)
	runtime.Goexit()
}

func verifiedBy(w *witness, tier, name, format string, args ...any) []string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		Verified(w, tier, name, format, args...)
	}()
	<-done
	return w.said
}

func TestVerified(t *testing.T) {
	require.Equal(t, []string{"verified: crash: Lock, killed: 3 kills: all"}, verifiedBy(&witness{}, "crash", "Lock, killed", "%d kills: all", 3))
	require.Empty(t, verifiedBy(&witness{failed: true}, "crash", "Lock", "%d kills", 3), "a failed test has shown nothing")
	for _, bad := range [][3]string{{"crash", "Lock: killed", "3"}, {"crash", "Lock", "3\n4"}, {"cra: sh", "Lock", "3"}} {
		require.Contains(t, verifiedBy(&witness{}, bad[0], bad[1], "%s", bad[2])[0], "make no line of the form")
	}
}
