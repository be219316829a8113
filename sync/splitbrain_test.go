package sync_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/shm"
)

// visitor tries to attach a segment, and says in which roster it is.
var visitor = proctest.Register("visitor", func(h *proctest.Helper) error {
	seg, err := shm.Attach(h.Files[0])
	if err == nil {
		err = seg.Close()
	}
	h.Say(fmt.Sprintf("%x, refused %v: %v", roster.TableID(), errors.Is(err, shm.ErrRoster), err))
	return nil
})

// Somebody removes the roster's file while it is in use. Who was in it goes on
// with the others that were; who comes later is in another, would take all of
// them for dead, and is therefore kept from their locks.
func TestRosterFileRemoved(t *testing.T) {
	s, file := stage[scene](t)
	files := []*os.File{file}
	visitor.Start(t, files).Expect(t, fmt.Sprintf("%x, refused false: <nil>", roster.TableID()))
	if !inOwnRoster(t) {
		return
	}
	earlier := actor.Start(t, files, "mutex")
	do(t, earlier, "lock")
	require.NoError(t, os.Remove(roster.File().Name()))
	later := visitor.Start(t, files).Line(t)
	require.Contains(t, later, ", refused true: shm: segment \"file 0\": attach: segment belongs to another roster of processes")
	require.NotContains(t, later, fmt.Sprintf("%x", roster.TableID()))
	require.Equal(t, later, visitor.Start(t, files).Line(t), "those who come later share one")

	require.False(t, s.Mutex.TryLock(), "the holder lives")
	earlier.Kill(t)
	require.Equal(t, "died "+strconv.Itoa(earlier.Pid()), describe(s.Mutex.LockContext(t.Context())))
	s.Mutex.MarkConsistent()
	s.Mutex.Unlock()
}
