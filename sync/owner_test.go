package sync_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// The owner of an RMutex is one goroutine of one process: goroutines of two
// processes have the same number. (Actors act on their first.)
func TestRMutexBelongsToProcess(t *testing.T) {
	proctest.NoLeaks(t)
	_, file := stage[scene](t)
	first := actor.Start(t, []*os.File{file}, "rmutex")
	second := actor.Start(t, []*os.File{file}, "rmutex")
	do(t, first, "lock")
	ask(t, second, "try", "no")
	do(t, first, "lock", "unlock", "unlock")
	do(t, second, "try", "unlock")
}

// The depth dies with the owner: whoever comes after it is in for the first time.
func TestDepthDiesWithOwner(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[scene](t)
	victim := actor.Start(t, []*os.File{file}, "rmutex")
	do(t, victim, "lock", "lock", "lock")
	victim.Kill(t)
	require.ErrorIs(t, s.RMutex.LockContext(t.Context()), psync.ErrOwnerDied)
	s.RMutex.MarkConsistent()
	s.RMutex.Unlock()
	_, held := s.RMutex.Holder()
	require.False(t, held)
}
