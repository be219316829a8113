//go:build crash

package sync_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A thread of a dead owner may be about to unlock when the lock already belongs
// to the next one. It must not free it. Here the holder is stopped in the middle
// of its Unlock, and the lock is given to us by hand.
func TestLateUnlock(t *testing.T) {
	for _, lock := range lockNames {
		for point, bit := range map[probe.Point]uint64{probe.Lock10: 0, probe.Lock11: waiting} {
			t.Run(strings.ReplaceAll(point.String(), " ", "")+"/"+lock, func(t *testing.T) {
				proctest.NoLeaks(t)
				s, file := stage[scene](t)
				word := wholeWord(s.lock(lock))
				s.lock(lock).Lock()
				ours := word.Load()
				s.lock(lock).Unlock()

				late := doomed.Start(t, []*os.File{file}, lock)
				do(t, late, "lock")
				word.Or(bit)
				do(t, late, fmt.Sprintf("arm %d %d", point, syscall.SIGSTOP))
				late.Tell(t, "unlock")
				late.AwaitStop(t)
				word.Store(ours)
				late.Cont(t)
				require.Equal(t, fmt.Sprintf("panic psync: Unlock by process %d of a lock held by process %d", late.Pid(), os.Getpid()), late.Line(t))
				require.Equal(t, ours, word.Load(), "the lock is ours")
			})
		}
	}
}
